#include "bare/book.hpp"

#include <charconv>

#include "bodies.hpp"

namespace bare {

namespace {

constexpr std::size_t largest_text = 64 * 1024;

std::vector<level> copy_of(const std::vector<actors::level>& xs) {
  std::vector<level> result;
  for (auto& x : xs)
    result.push_back({x.price.text(), x.quantity.text()});
  return result;
}

Bytef* bytes(const char* x) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(x));
}

} // namespace

// -- reading ------------------------------------------------------------------------

book_reader::book_reader() : text_(largest_text), parser_(boost::json::parse_options{}) {
  inflateInit(&stream_);
}

book_reader::~book_reader() {
  inflateEnd(&stream_);
}

const book& book_reader::read(std::string_view body) {
  inflateReset(&stream_);
  stream_.next_in = bytes(body.data());
  stream_.avail_in = static_cast<uInt>(body.size());
  stream_.next_out = bytes(text_.data());
  stream_.avail_out = static_cast<uInt>(text_.size());
  if (inflate(&stream_, Z_FINISH) != Z_STREAM_END)
    bench::fail("a body cannot be inflated");
  parser_.reset();
  boost::json::error_code code;
  parser_.write_some(false, text_.data(), stream_.total_out, code);
  if (code || !parser_.done())
    bench::fail("a body holds no order book");
  return parser_.handler().out;
}

// -- writing ------------------------------------------------------------------------

book_writer::book_writer() {
  deflateInit(&stream_, 6);
}

book_writer::~book_writer() {
  deflateEnd(&stream_);
}

std::string_view book_writer::write(const book& x) {
  text_ = R"({"n": "EVENT_ORDERBOOK", "d": {"p": ")";
  text_.append(x.platform).append(R"(", "s": ")").append(x.symbol).append(R"(", "a": [)");
  append_side(x.asks);
  text_ += R"(], "b": [)";
  append_side(x.bids);
  text_ += R"(], "t": )";
  char digits[24];
  auto end = std::to_chars(digits, digits + sizeof digits, x.timestamp).ptr;
  text_.append(digits, end).append("}}");

  auto bound = deflateBound(&stream_, text_.size());
  if (body_.size() < bound)
    body_.resize(bound);
  deflateReset(&stream_);
  stream_.next_in = bytes(text_.data());
  stream_.avail_in = static_cast<uInt>(text_.size());
  stream_.next_out = bytes(body_.data());
  stream_.avail_out = static_cast<uInt>(body_.size());
  deflate(&stream_, Z_FINISH);
  return {body_.data(), stream_.total_out};
}

void book_writer::append_side(const std::vector<level>& xs) {
  auto separator = "";
  for (auto& x : xs) {
    text_.append(separator).append("[\"").append(x.price).append("\", \"");
    text_.append(x.quantity).append("\"]");
    separator = ", ";
  }
}

book copy_of(const actors::orderbook& x) {
  return {x.platform, x.symbol, copy_of(x.asks), copy_of(x.bids), x.timestamp};
}

// Out of line, as a strategy in another file would be.
void on_book(const book& x) {
  [[maybe_unused]] static volatile char seen;
  if (!x.asks.empty())
    seen = x.asks.front().price.front();
}

} // namespace bare
