#include "wire/payload.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <optional>

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <zlib.h>

#include "actors/error.hpp"
#include "actors/json.hpp"
#include "wire/python_json.hpp"
#include "wire/sax.hpp"

namespace actors {

namespace {

// -- finding the parts --------------------------------------------------------------

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Takes pieces of JSON text off the front of a text. `value` and `string` move the cursor behind
/// the piece; both require well-formed text.
class cursor {
public:
  explicit cursor(std::string_view text) noexcept : rest_(text) {
    // nop
  }

  std::string_view rest() const noexcept {
    return rest_;
  }

  /// Returns the next character that is not white space, 0 at the end.
  char peek() noexcept {
    while (!rest_.empty() && is_space(rest_.front()))
      rest_.remove_prefix(1);
    return rest_.empty() ? '\0' : rest_.front();
  }

  bool take(std::string_view token) noexcept {
    peek();
    if (!rest_.starts_with(token))
      return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  /// Takes a string literal. Returns the text between its quotes.
  std::string_view string() noexcept {
    peek();
    std::size_t end = 1;
    while (rest_[end] != '"')
      end += rest_[end] == '\\' ? 2 : 1;
    return split(end + 1).substr(1, end - 1);
  }

  std::string_view value() noexcept {
    auto first = peek();
    auto begin = rest_;
    if (first == '"')
      string();
    else if (first == '{' || first == '[')
      nested();
    else
      split(std::min(rest_.find_first_of(",]} \t\n\r"), rest_.size()));
    return begin.substr(0, begin.size() - rest_.size());
  }

private:
  std::string_view split(std::size_t size) noexcept {
    auto result = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return result;
  }

  void nested() noexcept {
    std::size_t depth = 0;
    do {
      rest_.remove_prefix(rest_.find_first_of("\"{}[]"));
      auto c = rest_.front();
      if (c == '"') {
        string();
        continue;
      }
      depth += c == '{' || c == '[' ? 1 : -1;
      rest_.remove_prefix(1);
    } while (depth > 0);
  }

  std::string_view rest_;
};

bool is_plain(char c) noexcept {
  return c >= 0x20 && c < 0x7F && c != '\\';
}

// Splits a text in the form that all known peers write: {"n": NAME, "d": DATA}, with a plain ASCII
// name. DATA is not checked here.
std::optional<payload_parts> split_usual(std::string_view text) noexcept {
  cursor in{text};
  if (!in.take("{") || !in.take("\"n\"") || !in.take(":") || !in.take("\""))
    return std::nullopt;
  auto name = in.rest().substr(0, in.rest().find('"'));
  if (name.size() == in.rest().size() || !std::all_of(name.begin(), name.end(), is_plain))
    return std::nullopt;
  in = cursor{in.rest().substr(name.size() + 1)};
  if (!in.take(",") || !in.take("\"d\"") || !in.take(":") || in.peek() == '\0')
    return std::nullopt;
  auto data = in.rest();
  auto drop_space = [&data] {
    while (!data.empty() && is_space(data.back()))
      data.remove_suffix(1);
  };
  drop_space();
  if (data.empty() || data.back() != '}')
    return std::nullopt;
  data.remove_suffix(1);
  drop_space();
  if (data.empty())
    return std::nullopt;
  return payload_parts{name, data, false};
}

caf::error check_well_formed(std::string_view text, std::size_t max_depth) {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  boost::json::basic_parser<sax_handler> parser{options};
  auto problem = read_all(parser, text, max_depth);
  if (!problem)
    return {};
  sax_handler all;
  if (problem.code == ec::malformed_json && read_as_python(all, text, max_depth))
    return {};
  return make_error(problem.code, "body: " + problem.text);
}

// Returns the characters of a string literal, in `buffer` if there are escapes.
std::string_view unescape(std::string_view literal, std::string& buffer) {
  if (literal.find('\\') == std::string_view::npos)
    return literal;
  buffer.clear();
  auto quoted = '"' + std::string{literal} + '"';
  std::string_view rest{quoted};
  take_python_string(rest, buffer); // the text is well-formed
  return buffer;
}

// -- inflating ----------------------------------------------------------------------

constexpr std::size_t first_capacity = 16 * 1024;
// A buffer larger than this is not kept for the next body.
constexpr std::size_t kept_capacity = 256 * 1024;
constexpr std::size_t ratio_exempt = 64 * 1024;

// Returns the largest inflated size that is allowed for a body.
std::size_t size_limit(const payload_limits& limits, std::size_t body_size) noexcept {
  auto max = std::numeric_limits<std::size_t>::max();
  auto by_ratio = limits.max_ratio > 0 && body_size > max / limits.max_ratio
                      ? max
                      : body_size * limits.max_ratio;
  return std::min(limits.max_size, std::max(ratio_exempt, by_ratio));
}

caf::error too_large(const payload_limits& limits, std::size_t body_size) {
  auto start = "body of " + std::to_string(body_size) + " bytes: inflates to more than ";
  if (size_limit(limits, body_size) == limits.max_size)
    return make_error(ec::limit_exceeded, start + std::to_string(limits.max_size) + " bytes");
  return make_error(ec::limit_exceeded,
                    start + std::to_string(limits.max_ratio) + " times its size");
}

struct free_decompressor {
  void operator()(libdeflate_decompressor* x) const noexcept {
    libdeflate_free_decompressor(x);
  }
};

} // namespace

// -- payload_decoder ----------------------------------------------------------------

struct payload_decoder::impl {
  explicit impl(payload_limits x) : limits(x), fast(libdeflate_alloc_decompressor()) {
    if (!fast || inflateInit(&stream) != Z_OK)
      throw std::bad_alloc{};
  }

  ~impl() {
    inflateEnd(&stream);
  }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  void reserve(std::size_t size) {
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    std::copy_n(buffer.get(), used, larger.get());
    buffer = std::move(larger);
    capacity = size;
  }

  caf::error inflate_all(std::string_view body) {
    used = 0;
    if (body.empty())
      return make_error(ec::malformed_body, "body: is empty, a zlib stream is wanted");
    if (body.size() > std::numeric_limits<uInt>::max())
      return too_large(limits, body.size());
    // One byte more than allowed is needed to tell a body of exactly that size from a longer one.
    auto limit = size_limit(limits, body.size());
    auto room = limit == SIZE_MAX ? limit : limit + 1;
    if (capacity == 0 || capacity > kept_capacity)
      reserve(std::min(first_capacity, room));
    if (inflate_at_once(body, std::min(capacity, limit)))
      return caf::none;
    // libdeflate neither describes errors nor continues with more room, so zlib takes over.
    inflateReset(&stream);
    // The cast is safe: zlib only reads its input, but its interface is not const-correct.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(body.size());
    for (;;) {
      auto end = std::min(capacity, room);
      auto result = inflate_until(end);
      if (used > limit)
        return too_large(limits, body.size());
      // Bytes behind the stream are ignored, as in Python.
      if (result == Z_STREAM_END)
        return caf::none;
      if (result != Z_BUF_ERROR && result != Z_OK)
        return broken(result, body.size());
      if (used < end)
        return make_error(ec::malformed_body, "body of " + std::to_string(body.size())
                                                  + " bytes: its zlib stream is cut off");
      reserve(capacity > room / 2 ? room : capacity * 2);
    }
  }

  // Returns false if the body is no zlib stream, or needs more room.
  bool inflate_at_once(std::string_view body, std::size_t room) {
    std::size_t taken = 0;
    auto result = libdeflate_zlib_decompress_ex(fast.get(), body.data(), body.size(), buffer.get(),
                                                room, &taken, &used);
    if (result == LIBDEFLATE_SUCCESS)
      return true;
    used = 0;
    return false;
  }

  // Fills the buffer up to an offset.
  int inflate_until(std::size_t end) {
    auto space = std::min<std::size_t>(end - used, std::numeric_limits<uInt>::max());
    stream.next_out = reinterpret_cast<Bytef*>(buffer.get() + used);
    stream.avail_out = static_cast<uInt>(space);
    auto result = inflate(&stream, Z_FINISH);
    used += space - stream.avail_out;
    return result;
  }

  caf::error broken(int result, std::size_t body_size) const {
    auto why = result == Z_NEED_DICT ? "needs a preset dictionary"
               : stream.msg          ? stream.msg
                                     : zError(result);
    return make_error(ec::malformed_body, "body of " + std::to_string(body_size)
                                              + " bytes: not a zlib stream at offset "
                                              + std::to_string(stream.total_in) + ": " + why);
  }

  // Splits a well-formed text. The last of several equal keys counts, as in Python.
  caf::expected<payload_parts> find_parts() {
    cursor in{text()};
    if (!in.take("{"))
      return make_error(ec::malformed_json, "body: its text must be an object");
    std::string_view name_value;
    std::string_view data;
    std::string key_buffer;
    while (in.peek() == '"') {
      auto key = unescape(in.string(), key_buffer);
      in.take(":");
      auto value = in.value();
      if (key == "n")
        name_value = value;
      else if (key == "d")
        data = value;
      in.take(",");
    }
    if (name_value.empty() || data.empty())
      return make_error(ec::malformed_json, std::string{"body: key '"}
                                                + (name_value.empty() ? 'n' : 'd')
                                                + "' is missing");
    if (name_value.front() != '"')
      return make_error(ec::malformed_json, "body: key 'n' must be a string");
    return payload_parts{unescape(cursor{name_value}.string(), name), data, true};
  }

  std::string_view text() const noexcept {
    return {buffer.get(), used};
  }

  payload_limits limits;
  std::unique_ptr<libdeflate_decompressor, free_decompressor> fast;
  z_stream stream{};
  /// The inflated text, into which the parts are views. It grows with the bodies up to the limit.
  std::unique_ptr<char[]> buffer;
  std::size_t capacity = 0;
  std::size_t used = 0;
  /// The name of the last body, if the name had escapes.
  std::string name;
};

payload_decoder::payload_decoder(payload_limits limits) : impl_(std::make_unique<impl>(limits)) {
  // nop
}

payload_decoder::~payload_decoder() = default;

payload_decoder::payload_decoder(payload_decoder&&) noexcept = default;

payload_decoder& payload_decoder::operator=(payload_decoder&&) noexcept = default;

caf::expected<payload_parts> payload_decoder::decode(std::string_view body) {
  if (auto err = impl_->inflate_all(body)) {
    impl_->used = 0;
    return err;
  }
  if (auto parts = split_usual(impl_->text()))
    return *parts;
  return check();
}

caf::expected<payload_parts> payload_decoder::check() {
  if (auto err = check_well_formed(impl_->text(), impl_->limits.max_depth))
    return err;
  return impl_->find_parts();
}

const payload_limits& payload_decoder::limits() const noexcept {
  return impl_->limits;
}

// -- limits -------------------------------------------------------------------------

failure check_depth(std::string_view data, const payload_limits& limits) {
  std::size_t depth = 1; // the event's own object
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto c = data[i];
    if (c == '"') {
      for (++i; i < data.size() && data[i] != '"'; ++i)
        i += data[i] == '\\';
    } else if (c == '[' || c == '{') {
      if (++depth > limits.max_depth)
        return {ec::limit_exceeded, "body: more than " + std::to_string(limits.max_depth)
                                        + " nested arrays and objects, which no receiver takes"};
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return {};
}

failure check_size(std::size_t text_size, std::size_t body_size, const payload_limits& limits) {
  const auto limit = size_limit(limits, body_size);
  if (text_size <= limit)
    return {};
  auto text = "body: " + std::to_string(text_size) + " bytes of JSON, of which no receiver takes "
              + "more than " + std::to_string(limit);
  if (limit != limits.max_size)
    text += " in " + std::to_string(body_size) + " compressed bytes";
  return {ec::limit_exceeded, std::move(text)};
}

// -- payload_encoder ----------------------------------------------------------------

namespace {

/// A Huffman code of its own takes 4 µs to write and 1.4 µs to read, for each receiver. A text up
/// to this size (a trade, a book of 10 levels) does without: it gets a quarter longer at most.
constexpr std::size_t longest_with_usual_code = 768;

/// The first bytes of AIOQuant's bodies, which tell zlib's usual level. The level has no effect on
/// who reads the body.
constexpr std::string_view zlib_header = "\x78\x9c";

/// What ISA-L may add to a text that it cannot compress.
constexpr std::size_t room_beside(std::size_t text_size) noexcept {
  return text_size / 8 + 256;
}

} // namespace

struct payload_encoder::impl {
  std::string deflate_all() {
    if (compressed.size() < text.size() + room_beside(text.size()))
      compressed.resize(text.size() + room_beside(text.size()));
    while (!deflate_into())
      compressed.resize(compressed.size() * 2);
    compressed.replace(0, zlib_header.size(), zlib_header);
    return compressed.substr(0, stream.total_out);
  }

  // Returns false if there is too little room.
  bool deflate_into() {
    isal_deflate_stateless_init(&stream);
    stream.gzip_flag = IGZIP_ZLIB;
    if (text.size() <= longest_with_usual_code) {
      isal_deflate_set_hufftables(&stream, nullptr, IGZIP_HUFFTABLE_STATIC);
    } else {
      stream.level = 1;
      stream.level_buf = workspace.data();
      stream.level_buf_size = static_cast<std::uint32_t>(workspace.size());
    }
    stream.end_of_stream = 1;
    // The cast is safe: ISA-L only reads its input, but its interface is not const-correct.
    stream.next_in = reinterpret_cast<std::uint8_t*>(text.data());
    stream.avail_in = static_cast<std::uint32_t>(text.size());
    stream.next_out = reinterpret_cast<std::uint8_t*>(compressed.data());
    stream.avail_out = static_cast<std::uint32_t>(compressed.size());
    return isal_deflate_stateless(&stream) == COMP_OK;
  }

  isal_zstream stream;
  std::array<std::uint8_t, ISAL_DEF_LVL1_SMALL> workspace;
  std::string text;
  std::string compressed;
};

payload_encoder::payload_encoder() : impl_(std::make_unique<impl>()) {
  // nop
}

payload_encoder::~payload_encoder() = default;

payload_encoder::payload_encoder(payload_encoder&&) noexcept = default;

payload_encoder& payload_encoder::operator=(payload_encoder&&) noexcept = default;

std::string payload_encoder::encode(std::string_view name, std::string_view data) {
  auto& text = impl_->text;
  text = "{\"n\": ";
  append_quoted(text, name);
  text += ", \"d\": ";
  text += data;
  text += '}';
  return impl_->deflate_all();
}

payload_encoder& payload_encoder::of_this_thread() {
  thread_local payload_encoder instance;
  return instance;
}

} // namespace actors
