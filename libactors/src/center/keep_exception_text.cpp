#include "actors/event_center.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <string_view>

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

std::string event_center::own_name(std::string_view name) {
  constexpr std::array<std::string_view, 4> of_all{"actor", "scheduled_actor", "blocking_actor",
                                                   "scoped_actor"};
  const auto is_own = std::find(of_all.begin(), of_all.end(), name) == of_all.end();
  return is_own ? std::string{name} : std::string{};
}

void event_center::keep_exception_text(caf::scheduled_actor& self) {
  if (!handler_access::is_default(handler_access::of(self)))
    return;
  self.set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& thrown) -> caf::error {
    return {static_cast<std::uint8_t>(caf::sec::runtime_error), caf::atom("system"),
            caf::make_message(text_of(thrown))};
  });
}

} // namespace actors
