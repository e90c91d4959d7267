#include "amqp/topic.hpp"

namespace actors {

namespace {

/// Walks over the words of a key. As in RabbitMQ, the empty key has no word; every other key has
/// one more word than dots.
class word_cursor {
public:
  explicit word_cursor(std::string_view key) noexcept : rest_(key), done_(key.empty()) {
    // nop
  }

  bool done() const noexcept {
    return done_;
  }

  std::string_view word() const noexcept {
    return rest_.substr(0, rest_.find('.'));
  }

  bool at(std::string_view expected) const noexcept {
    return !done_ && word() == expected;
  }

  void next() noexcept {
    auto dot = rest_.find('.');
    if (dot == std::string_view::npos)
      done_ = true;
    else
      rest_.remove_prefix(dot + 1);
  }

private:
  std::string_view rest_;
  bool done_;
};

} // namespace

// On a mismatch only the last `#` takes one more word: an earlier `#` could take no word that
// the last one cannot take. That bounds the effort by the product of the two lengths.
bool topic_matches(std::string_view binding_key, std::string_view routing_key) noexcept {
  word_cursor pattern{binding_key};
  word_cursor key{routing_key};
  auto has_hash = false;
  auto after_hash = pattern;
  auto hash_end = key;
  while (!key.done()) {
    if (pattern.at("#")) {
      pattern.next();
      has_hash = true;
      after_hash = pattern;
      hash_end = key;
    } else if (pattern.at("*") || pattern.at(key.word())) {
      pattern.next();
      key.next();
    } else if (has_hash) {
      hash_end.next();
      pattern = after_hash;
      key = hash_end;
    } else {
      return false;
    }
  }
  while (pattern.at("#"))
    pattern.next();
  return pattern.done();
}

bool is_wildcard(std::string_view binding_key) noexcept {
  for (word_cursor i{binding_key}; !i.done(); i.next())
    if (i.at("*") || i.at("#"))
      return true;
  return false;
}

} // namespace actors
