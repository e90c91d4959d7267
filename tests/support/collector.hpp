#pragma once

#include <memory>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/message.hpp>

namespace actors::testing {

/// An actor that keeps whatever it is sent and `answers` does not handle.
class collector {
public:
  explicit collector(caf::actor_system& system,
                     caf::behavior answers = caf::behavior{[](caf::unit_t) {}})
      : seen_(std::make_shared<std::vector<caf::message>>()) {
    actor_ = system.spawn([seen = seen_, answers](caf::event_based_actor* self) -> caf::behavior {
      self->set_default_handler(
          [seen](caf::scheduled_actor*, caf::message_view& x) -> caf::result<caf::message> {
            seen->push_back(x.move_content_to_message());
            return caf::message{};
          });
      return answers;
    });
  }

  const caf::actor& actor() const noexcept {
    return actor_;
  }

  /// All messages of one type so far, in order; they are removed.
  template <class T>
  std::vector<T> take() {
    std::vector<T> result;
    std::erase_if(*seen_, [&](const caf::message& x) {
      if (!x.match_elements<T>())
        return false;
      result.push_back(x.get_as<T>(0));
      return true;
    });
    return result;
  }

private:
  std::shared_ptr<std::vector<caf::message>> seen_;
  caf::actor actor_;
};

} // namespace actors::testing
