#include "market_data/line_file.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <sys/stat.h>
#include <zlib.h>

#include "actors/error.hpp"

namespace market_data {

namespace {

constexpr std::size_t chunk_size = 64 * 1024;

/// A longer one is no line of a recording.
constexpr std::size_t max_line_size = 16 * 1024 * 1024;

caf::error cannot_read(const std::string& path, const std::string& why) {
  return actors::make_error(actors::ec::invalid_argument,
                            "cannot read the file '" + path + "': " + why);
}

} // namespace

struct line_file::impl {
  std::string path;
  gzFile file = nullptr;
  std::uint64_t size = 0;
  std::uint64_t line_number = 0;
  /// [begin, size()) of it has not been handed out yet.
  std::string buffer;
  std::size_t begin = 0;
  bool at_end = false;

  ~impl() {
    if (file)
      gzclose_r(file);
  }

  /// Reads one more chunk behind what is left of the buffer.
  caf::error refill() {
    buffer.erase(0, begin);
    begin = 0;
    if (buffer.size() > max_line_size)
      return cannot_read(path, "line " + std::to_string(line_number + 1) + " is too long");
    const auto old_size = buffer.size();
    buffer.resize(old_size + chunk_size);
    const auto n = gzread(file, buffer.data() + old_size, chunk_size);
    buffer.resize(old_size + static_cast<std::size_t>(std::max(n, 0)));
    // A truncated gzip file gives what it has, then zero bytes and an error.
    int status = Z_OK;
    const auto* text = gzerror(file, &status);
    if (n < 0 || (n == 0 && status != Z_OK && status != Z_STREAM_END))
      return cannot_read(path, status == Z_ERRNO ? std::generic_category().message(errno) : text);
    at_end = n == 0;
    return caf::none;
  }
};

line_file::line_file(std::unique_ptr<impl> x) noexcept : impl_(std::move(x)) {
  // nop
}

line_file::~line_file() = default;

line_file::line_file(line_file&&) noexcept = default;

line_file& line_file::operator=(line_file&&) noexcept = default;

caf::expected<line_file> line_file::open(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0)
    return cannot_read(path, std::generic_category().message(errno));
  if (S_ISDIR(about.st_mode))
    return cannot_read(path, "it is a folder");
  auto result = std::make_unique<impl>();
  result->path = path;
  result->size = static_cast<std::uint64_t>(about.st_size);
  result->file = gzopen(path.c_str(), "rb");
  if (!result->file)
    return cannot_read(path, std::generic_category().message(errno));
  return line_file{std::move(result)};
}

caf::expected<bool> line_file::next(std::string_view& out) {
  auto& x = *impl_;
  std::size_t searched = 0;
  for (;;) {
    const auto unread = std::string_view{x.buffer}.substr(x.begin);
    const auto end = unread.find('\n', searched);
    if (end == std::string_view::npos && !x.at_end) {
      searched = unread.size();
      if (auto err = x.refill())
        return err;
      continue;
    }
    if (unread.empty())
      return false;
    out = unread.substr(0, end);
    x.begin = std::min(x.begin + out.size() + 1, x.buffer.size());
    if (out.ends_with('\r'))
      out.remove_suffix(1);
    ++x.line_number;
    return true;
  }
}

std::uint64_t line_file::line_number() const noexcept {
  return impl_->line_number;
}

double line_file::progress() const noexcept {
  if (impl_->size == 0)
    return 1.0;
  const auto offset = static_cast<double>(gzoffset(impl_->file));
  return std::clamp(offset / static_cast<double>(impl_->size), 0.0, 1.0);
}

const std::string& line_file::path() const noexcept {
  return impl_->path;
}

} // namespace market_data
