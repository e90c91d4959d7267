#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>
#include <zlib.h>

#include "actors/market.hpp"

/// An order book as a trader without libactors would have it: read and written
/// by hand for this one type, with the buffers, the zlib streams and the struct
/// used again and again.
namespace bare {

struct level {
  std::string price;
  std::string quantity;
};

struct book {
  std::string platform;
  std::string symbol;
  std::vector<level> asks;
  std::vector<level> bids;
  std::int64_t timestamp = 0;
};

/// Takes what Boost.JSON's parser finds in
///
///     depth 1   2       3  4
///     {"n": "EVENT_ORDERBOOK", "d": {"p": ..., "a": [[price, quantity], ...], ...}}
class book_handler {
public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  using error_code = boost::json::error_code;
  using text = boost::json::string_view;

  book out;

  bool on_document_begin(error_code&) {
    depth_ = 0;
    out.asks.clear();
    out.bids.clear();
    return true;
  }

  bool on_document_end(error_code&) {
    return true;
  }

  bool on_object_begin(error_code&) {
    ++depth_;
    return true;
  }

  bool on_object_end(std::size_t, error_code&) {
    --depth_;
    return true;
  }

  bool on_array_begin(error_code&) {
    if (++depth_ == 3)
      side_ = key_ == 'a' ? &out.asks : &out.bids;
    else
      side_->emplace_back();
    index_ = 0;
    return true;
  }

  bool on_array_end(std::size_t, error_code&) {
    --depth_;
    return true;
  }

  bool on_key_part(text, std::size_t, error_code&) {
    return true;
  }

  bool on_key(text x, std::size_t, error_code&) {
    key_ = x.empty() ? '\0' : x.front();
    return true;
  }

  bool on_string_part(text x, std::size_t, error_code&) {
    part_.append(x.data(), x.size());
    return true;
  }

  bool on_string(text x, std::size_t, error_code&) {
    if (part_.empty()) {
      assign({x.data(), x.size()});
    } else {
      part_.append(x.data(), x.size());
      assign(part_);
      part_.clear();
    }
    return true;
  }

  bool on_number_part(text, error_code&) {
    return true;
  }

  bool on_int64(std::int64_t x, text as_text, error_code&) {
    if (depth_ == 2)
      out.timestamp = x;
    else
      assign({as_text.data(), as_text.size()});
    return true;
  }

  bool on_uint64(std::uint64_t x, text as_text, error_code& code) {
    return on_int64(static_cast<std::int64_t>(x), as_text, code);
  }

  bool on_double(double x, text as_text, error_code& code) {
    return on_int64(static_cast<std::int64_t>(x), as_text, code);
  }

  bool on_bool(bool, error_code&) {
    return true;
  }

  bool on_null(error_code&) {
    return true;
  }

  bool on_comment_part(text, error_code&) {
    return true;
  }

  bool on_comment(text, error_code&) {
    return true;
  }

private:
  void assign(std::string_view x) {
    if (depth_ == 4) {
      auto& level = side_->back();
      (index_++ == 0 ? level.price : level.quantity) = x;
    } else if (depth_ == 2) {
      (key_ == 'p' ? out.platform : out.symbol) = x;
    }
  }

  int depth_ = 0;
  int index_ = 0;
  char key_ = '\0';
  std::vector<level>* side_ = nullptr;
  std::string part_;
};

/// Reads bodies.
class book_reader {
public:
  book_reader();
  ~book_reader();
  book_reader(const book_reader&) = delete;
  book_reader& operator=(const book_reader&) = delete;

  /// Valid until the next call. Ends the program on a malformed body.
  const book& read(std::string_view body);

private:
  z_stream stream_{};
  std::vector<char> text_;
  boost::json::basic_parser<book_handler> parser_;
};

/// Writes bodies of level 6.
class book_writer {
public:
  book_writer();
  ~book_writer();
  book_writer(const book_writer&) = delete;
  book_writer& operator=(const book_writer&) = delete;

  /// Valid until the next call.
  std::string_view write(const book& x);

private:
  void append_side(const std::vector<level>& xs);

  z_stream stream_{};
  std::string text_;
  std::vector<char> body_;
};

/// The bare loop's own form of an order book, before anything is measured.
book copy_of(const actors::orderbook& x);

/// The one function that is called with each book.
void on_book(const book& x);

} // namespace bare
