#include "actors/event_type.hpp"

namespace actors {

namespace {

caf::expected<caf::message> decode_generic(const received_event& in) {
  auto data = json::parse(in.data, in.max_depth);
  if (!data)
    return detail::with_event_name(in.name, data.error());
  event out;
  out.name = in.name;
  out.exchange = in.exchange;
  out.queue = in.queue;
  out.routing_key = in.routing_key;
  out.prefetch_count = in.prefetch_count;
  out.data = std::move(*data);
  return caf::make_message(std::move(out));
}

} // namespace

event_codec generic_codec() noexcept {
  return {.name = {}, .decode = &decode_generic};
}

namespace detail {

caf::error with_event_name(std::string_view name, const caf::error& err) {
  return make_error(code_of(err), std::string{name} + ": " + text_of(err));
}

caf::error thrown(std::string_view name, const std::exception_ptr& exception) {
  return make_error(ec::malformed_json, std::string{name} + ": " + text_of(exception));
}

} // namespace detail

} // namespace actors
