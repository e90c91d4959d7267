#include "publishing/unsent_file.hpp"

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/error.hpp"
#include "amqp/wire_rules.hpp"

namespace actors {

namespace {

namespace js = boost::json;

std::string to_hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string result;
  result.reserve(bytes.size() * 2);
  for (unsigned char x : bytes) {
    result += digits[x >> 4];
    result += digits[x & 15];
  }
  return result;
}

int digit_of(char x) noexcept {
  if (x >= '0' && x <= '9')
    return x - '0';
  return x >= 'a' && x <= 'f' ? x - 'a' + 10 : -1;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string result;
  result.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = digit_of(text[i]);
    const auto low = digit_of(text[i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    result += static_cast<char>(high << 4 | low);
  }
  return result;
}

std::string bytes_of(double x) {
  auto bits = std::bit_cast<std::uint64_t>(x);
  std::string result(sizeof(bits), '\0');
  for (auto i = result.rbegin(); i != result.rend(); ++i, bits >>= 8)
    *i = static_cast<char>(bits & 0xFF);
  return result;
}

js::value opaque(char kind, std::string_view bytes) {
  return js::object{{"kind", std::string(1, kind)}, {"bytes", to_hex(bytes)}};
}

struct as_json {
  js::value operator()(const amqp::opaque_value& x) const {
    return opaque(x.kind, x.bytes);
  }

  js::value operator()(double x) const {
    return std::isfinite(x) ? js::value(x) : opaque('d', bytes_of(x));
  }

  js::value operator()(const auto& x) const {
    return js::value(x);
  }
};

js::object headers_of(const amqp::field_table& xs) {
  js::object result;
  for (auto& [name, value] : xs)
    result[name] = std::visit(as_json{}, value);
  return result;
}

/// Throws, as Boost.JSON does, if the value is no header.
amqp::field_value to_field(const js::value& x) {
  if (auto y = x.if_bool())
    return *y;
  if (auto y = x.if_int64())
    return *y;
  if (auto y = x.if_double())
    return *y;
  if (auto y = x.if_string())
    return std::string{*y};
  auto& y = x.as_object();
  auto bytes = from_hex(std::string{y.at("bytes").as_string()});
  auto& kind = y.at("kind").as_string();
  if (!bytes || kind.size() != 1)
    throw std::invalid_argument("key 'headers': not a header");
  return amqp::opaque_value{kind[0], std::move(*bytes)};
}

/// The texts among the other properties.
constexpr std::pair<const char*, std::string amqp::other_properties::*> other_texts[] = {
    {"content_type", &amqp::other_properties::content_type},
    {"content_encoding", &amqp::other_properties::content_encoding},
    {"correlation_id", &amqp::other_properties::correlation_id},
    {"reply_to", &amqp::other_properties::reply_to},
    {"type", &amqp::other_properties::type},
    {"app_id", &amqp::other_properties::app_id}};

js::object others_of(const amqp::other_properties& x) {
  js::object result;
  for (auto& [name, member] : other_texts)
    if (!(x.*member).empty())
      result[name] = x.*member;
  if (x.priority)
    result["priority"] = *x.priority;
  return result;
}

std::shared_ptr<const amqp::other_properties> to_others(const js::object& in) {
  auto result = std::make_shared<amqp::other_properties>();
  for (auto& [name, member] : other_texts)
    if (in.contains(name))
      (*result).*member = std::string{in.at(name).as_string()};
  if (in.contains("priority"))
    result->priority = in.at("priority").to_number<std::uint8_t>();
  return result;
}

std::int64_t in_milliseconds(unsent_file::time_point x) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(x.time_since_epoch()).count();
}

std::string line_of(const amqp::publication& x, unsent_file::time_point now) {
  auto& p = x.properties;
  js::object result{{"exchange", x.exchange},   {"routing_key", x.routing_key},
                    {"subject", x.subject},     {"message_id", p.message_id},
                    {"timestamp", p.timestamp}, {"persistent", p.persistent},
                    {"mandatory", x.mandatory}, {"headers", headers_of(p.headers)}};
  if (p.position) {
    result["epoch"] = p.position->epoch;
    result["sequence"] = p.position->sequence;
  }
  if (p.expiration.count() > 0)
    result["deadline"] = in_milliseconds(now + p.expiration);
  if (p.others)
    result["others"] = others_of(*p.others);
  result["body"] = to_hex(x.body ? std::string_view{*x.body} : std::string_view{});
  return js::serialize(result);
}

/// Throws, as Boost.JSON does, if a key is missing or of the wrong type. An expired message gets a
/// negative expiration.
amqp::publication from_json(const js::object& in, unsent_file::time_point now) {
  auto text = [&](const char* key) { return std::string{in.at(key).as_string()}; };
  auto number = [&](const char* key) { return in.at(key).to_number<std::uint64_t>(); };
  amqp::publication result;
  auto& p = result.properties;
  result.exchange = text("exchange");
  result.routing_key = text("routing_key");
  result.subject = text("subject");
  result.mandatory = in.at("mandatory").as_bool();
  p.message_id = text("message_id");
  p.timestamp = number("timestamp");
  p.persistent = in.at("persistent").as_bool();
  if (in.contains("epoch"))
    p.position = amqp::stream_position{number("epoch"), number("sequence")};
  if (in.contains("deadline")) {
    const auto left = in.at("deadline").to_number<std::int64_t>() - in_milliseconds(now);
    p.expiration = std::chrono::milliseconds{left > 0 ? left : -1};
  }
  if (in.contains("others"))
    p.others = to_others(in.at("others").as_object());
  for (auto& [name, value] : in.at("headers").as_object())
    p.headers.emplace_back(name, to_field(value));
  auto body = from_hex(text("body"));
  if (!body)
    throw std::invalid_argument("key 'body': not hexadecimal digits");
  result.body = std::make_shared<const std::string>(std::move(*body));
  return result;
}

caf::expected<amqp::publication> parse_line(const std::string& line, unsent_file::time_point now) {
  js::parse_options options;
  options.allow_invalid_utf8 = true; // a header is any bytes
  try {
    return from_json(js::parse(line, {}, options).as_object(), now);
  } catch (const std::exception& e) {
    return make_error(ec::malformed_json, e.what());
  }
}

std::string about(const std::string& path) {
  return "file '" + path + "' of unsent messages: ";
}

caf::error cannot(std::string_view what, const std::string& path) {
  return make_error(ec::invalid_argument,
                    about(path) + "cannot " + std::string{what} + ": " + std::strerror(errno));
}

/// Returns the FNV-1a hash, which identifies a line within its file.
std::string hash_of(std::string_view line) {
  std::uint64_t x = 0xCBF29CE484222325;
  for (unsigned char c : line)
    x = (x ^ c) * 0x100000001B3;
  std::string result(16, '0');
  for (auto i = result.rbegin(); i != result.rend(); ++i, x >>= 4)
    *i = "0123456789abcdef"[x & 15];
  return result;
}

bool write_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ::write(to, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

/// Only the owner may read the files, because they may contain orders.
constexpr mode_t private_mode = 0600;

/// Owns an open file.
class opened_file {
public:
  opened_file(const std::string& path, int flags)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, private_mode)) {
    // nop
  }

  ~opened_file() {
    if (number_ >= 0)
      ::close(number_);
  }

  opened_file(const opened_file&) = delete;
  opened_file& operator=(const opened_file&) = delete;

  int number() const noexcept {
    return number_;
  }

  explicit operator bool() const noexcept {
    return number_ >= 0;
  }

private:
  int number_;
};

bool append_line(const std::string& path, const std::string& line) {
  opened_file out{path, O_WRONLY | O_CREAT | O_APPEND};
  return out && write_all(out.number(), line + '\n');
}

/// Makes changes of names in a folder survive a power failure.
bool sync_folder_of(const std::string& path) {
  auto folder = std::filesystem::path{path}.parent_path();
  opened_file in{folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY};
  return in && ::fsync(in.number()) == 0;
}

/// Makes the content of a file survive a power failure.
bool sync_file(const std::string& path) {
  opened_file file{path, O_WRONLY};
  return file && ::fsync(file.number()) == 0 && sync_folder_of(path);
}

/// Appends a line to another file before the line leaves this one.
bool keep_aside(const std::string& path, const std::string& line) {
  return append_line(path, line) && sync_file(path);
}

std::unordered_map<std::string, std::size_t> read_hashes(const std::string& path) {
  std::unordered_map<std::string, std::size_t> result;
  std::ifstream in{path, std::ios::binary};
  for (std::string line; std::getline(in, line);)
    ++result[line];
  return result;
}

/// Follows symbolic links, so that a file has one lock under all its names.
std::string without_links(std::string path) {
  constexpr auto most_links = 40; // as many as Linux follows
  std::error_code failed;
  for (auto i = 0; i < most_links; ++i) {
    const auto target = std::filesystem::read_symlink(path, failed);
    if (failed)
      break;
    path = (std::filesystem::path{path}.parent_path() / target).string();
  }
  return path;
}

} // namespace

caf::expected<std::shared_ptr<unsent_file>> unsent_file::open(std::string path) {
  path = without_links(std::move(path));
  const auto lock_path = path + ".lock";
  const auto lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, private_mode);
  if (lock < 0)
    return cannot("write", lock_path);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    std::string owner;
    std::getline(std::ifstream{lock_path}, owner);
    ::close(lock);
    return make_error(ec::invalid_argument,
                      about(path) + "process " + owner + " uses it: each needs one of its own");
  }
  if (::ftruncate(lock, 0) != 0 || !write_all(lock, std::to_string(::getpid()) + '\n')) {
    auto result = cannot("write", lock_path);
    ::close(lock);
    return result;
  }
  return std::shared_ptr<unsent_file>{new unsent_file{std::move(path), lock}};
}

unsent_file::unsent_file(std::string path, int lock) : path_(std::move(path)), lock_(lock) {
  // nop
}

unsent_file::~unsent_file() {
  ::close(lock_);
}

caf::expected<unsent_messages> unsent_file::read(time_point now) {
  unsent_messages result;
  std::error_code code;
  if (!std::filesystem::exists(path_, code) && !code)
    return result;
  errno = 0;
  std::ifstream in{path_, std::ios::binary};
  if (!in)
    return cannot("read", path_);
  auto sent = read_hashes(path_ + ".sent");
  std::string line;
  for (auto number = 1; std::getline(in, line); ++number) {
    if (auto i = sent.find(hash_of(line)); i != sent.end() && i->second > 0) {
      --i->second;
      continue;
    }
    auto x = parse_line(line, now);
    if (x && x->properties.expiration.count() < 0) {
      append_line(path_ + ".sent", hash_of(line));
      ++result.expired;
      continue;
    }
    if (auto problem = x ? check(*x) : to_failure(x.error())) {
      if (!keep_aside(path_ + ".refused", line))
        return cannot("write", path_ + ".refused");
      append_line(path_ + ".sent", hash_of(line));
      result.refused.push_back(about(path_) + "line " + std::to_string(number) + ": "
                               + problem.text);
    } else {
      result.items.push_back(std::move(*x));
      lines_.push_back(line);
    }
  }
  if (in.bad())
    return cannot("read", path_);
  unsettled_ = lines_.size();
  if (unsettled_ == 0)
    remove_all();
  return result;
}

void unsent_file::settle(std::size_t index) {
  if (index >= lines_.size() || lines_[index].empty())
    return;
  append_line(path_ + ".sent", hash_of(lines_[index]));
  lines_[index] = {};
  is_dirty_ = true;
  if (--unsettled_ == 0)
    remove_all();
}

// Errors are ignored: the message would be sent once more, which receivers can recognise.
bool unsent_file::sync() {
  return std::exchange(is_dirty_, false) && sync_file(path_ + ".sent");
}

void unsent_file::set_aside(std::size_t index) {
  if (index < lines_.size() && !lines_[index].empty()
      && keep_aside(path_ + ".refused", lines_[index]))
    settle(index);
}

caf::error unsent_file::replace(const std::vector<amqp::publication>& messages, time_point now) {
  if (messages.empty()) {
    remove_all();
    return caf::none;
  }
  // The new file is written beside the old one and then renamed, so that one is always complete.
  const auto fresh = path_ + ".new";
  {
    opened_file out{fresh, O_WRONLY | O_CREAT | O_TRUNC};
    auto ok = out && ::fchmod(out.number(), private_mode) == 0;
    for (auto i = messages.begin(); ok && i != messages.end(); ++i)
      ok = write_all(out.number(), line_of(*i, now) + '\n');
    if (!ok || ::fsync(out.number()) != 0)
      return cannot("write", fresh);
  }
  if (::rename(fresh.c_str(), path_.c_str()) != 0)
    return cannot("replace", path_);
  lines_.clear();
  std::error_code code;
  std::filesystem::remove(path_ + ".sent", code); // about lines that are gone
  if (!sync_folder_of(path_))
    return cannot("sync the folder of", path_);
  return caf::none;
}

void unsent_file::remove_all() {
  is_dirty_ = false;
  std::error_code code;
  std::filesystem::remove(path_, code);
  std::filesystem::remove(path_ + ".sent", code);
  sync_folder_of(path_);
}

} // namespace actors
