#include "delivery/topic_tree.hpp"

#include <utility>

namespace actors {

namespace {

struct hash_text {
  using is_transparent = void;

  std::size_t operator()(std::string_view x) const noexcept {
    return std::hash<std::string_view>{}(x);
  }
};

/// Takes the first word off a key that has one.
std::string_view take_word(std::string_view& rest, bool& done) noexcept {
  const auto dot = rest.find('.');
  const auto result = rest.substr(0, dot);
  done = dot == std::string_view::npos;
  rest.remove_prefix(done ? rest.size() : dot + 1);
  return result;
}

} // namespace

struct topic_tree::node {
  using owner = std::unique_ptr<node>;

  std::unordered_map<std::string, owner, hash_text, std::equal_to<>> words;
  /// For the word `*`.
  owner one;
  /// For the word `#`.
  owner any;
  /// Whether this is the node of a `#`, to which any word leads back.
  bool repeats = false;
  ids handlers;
  /// The last step that led here.
  std::uint64_t step = 0;

  node* find(std::string_view word) const {
    if (word == "*")
      return one.get();
    if (word == "#")
      return any.get();
    return literal(word);
  }

  node* literal(std::string_view word) const {
    auto i = words.find(word);
    return i == words.end() ? nullptr : i->second.get();
  }

  node& add(std::string_view word) {
    auto& child = word == "*" ? one : word == "#" ? any : words[std::string{word}];
    if (!child) {
      child = std::make_unique<node>();
      child->repeats = word == "#";
    }
    return *child;
  }

  void remove(std::string_view word) {
    if (word == "*")
      one = nullptr;
    else if (word == "#")
      any = nullptr;
    else if (auto i = words.find(word); i != words.end())
      words.erase(i);
  }

  bool empty() const noexcept {
    return words.empty() && !one && !any && handlers.empty();
  }
};

topic_tree::topic_tree() : root_(std::make_unique<node>()) {
  // nop
}

topic_tree::~topic_tree() = default;

topic_tree::topic_tree(topic_tree&&) noexcept = default;

topic_tree& topic_tree::operator=(topic_tree&&) noexcept = default;

bool topic_tree::empty() const noexcept {
  return root_->empty();
}

void topic_tree::insert(subscription_id id, std::string_view binding_key) {
  auto* at = root_.get();
  for (auto done = binding_key.empty(); !done;)
    at = &at->add(take_word(binding_key, done));
  at->handlers.push_back(id);
}

bool topic_tree::erase(subscription_id id, std::string_view binding_key) {
  return erase(*root_, binding_key, binding_key.empty(), id);
}

// Nodes that lead nowhere any more are removed.
bool topic_tree::erase(node& from, std::string_view rest, bool done, subscription_id id) {
  if (done)
    return std::erase(from.handlers, id) > 0;
  const auto word = take_word(rest, done);
  auto* next = from.find(word);
  if (next == nullptr || !erase(*next, rest, done, id))
    return false;
  if (next->empty())
    from.remove(word);
  return true;
}

const topic_tree::ids& topic_tree::bound_to(std::string_view binding_key) const {
  static const ids none;
  const auto* at = root_.get();
  for (auto done = binding_key.empty(); !done && at;)
    at = at->find(take_word(binding_key, done));
  return at ? at->handlers : none;
}

// All nodes that the words lead to are followed at once, each once per word: no set of binding keys
// makes the effort explode.
void topic_tree::match(std::string_view routing_key, ids& out) {
  now_.clear();
  ++step_;
  enter(*root_, now_);
  for (auto done = routing_key.empty(); !done && !now_.empty(); now_.swap(next_)) {
    const auto word = take_word(routing_key, done);
    next_.clear();
    ++step_;
    for (auto* place : now_) {
      if (place->repeats)
        enter(*place, next_);
      if (auto* literal = place->literal(word))
        enter(*literal, next_);
      if (place->one)
        enter(*place->one, next_);
    }
  }
  for (auto* place : now_)
    out.insert(out.end(), place->handlers.begin(), place->handlers.end());
}

// A `#` below this node also matches no word at all, so its node is entered as well.
void topic_tree::enter(node& from, places& to) const {
  for (auto* place = &from; place != nullptr && place->step != step_; place = place->any.get()) {
    place->step = step_;
    to.push_back(place);
  }
}

} // namespace actors
