#include "actors/event_center.hpp"

#include <exception>
#include <string>

#include <caf/error.hpp>
#include <caf/make_message.hpp>
#include <caf/sec.hpp>

#include "actors/error.hpp"

namespace actors {

namespace {

/// Gives access to an actor's exception handler, which CAF shows only to derived classes.
struct handler_access : caf::scheduled_actor {
  static exception_handler& of(caf::scheduled_actor& x) {
    return x.*(&handler_access::exception_handler_);
  }

  static bool is_default(const exception_handler& x) {
    auto* function = x.target<caf::error (*)(caf::scheduled_actor*, std::exception_ptr&)>();
    return function && *function == &handler_access::default_exception_handler;
  }
};

} // namespace

void event_center::keep_exception_text(caf::scheduled_actor& self) {
  if (!handler_access::is_default(handler_access::of(self)))
    return;
  self.set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& thrown) -> caf::error {
    return {static_cast<std::uint8_t>(caf::sec::runtime_error), caf::atom("system"),
            caf::make_message(text_of(thrown))};
  });
}

} // namespace actors
