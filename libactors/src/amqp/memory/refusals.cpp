#include "amqp/memory/refusals.hpp"

namespace actors::amqp::memory {

failure not_found(const std::string& text) {
  return {ec::not_found, "NOT_FOUND - " + text + " (404)"};
}

failure access_refused(const std::string& text) {
  return {ec::access_refused, "ACCESS_REFUSED - " + text + " (403)"};
}

failure resource_locked(const std::string& text) {
  return {ec::resource_locked, "RESOURCE_LOCKED - " + text + " (405)"};
}

failure precondition_failed(const std::string& text) {
  return {ec::precondition_failed, "PRECONDITION_FAILED - " + text + " (406)"};
}

failure not_allowed(const std::string& text) {
  return {ec::not_allowed, "NOT_ALLOWED - " + text + " (530)"};
}

failure not_implemented(const std::string& text) {
  return {ec::not_implemented, "NOT_IMPLEMENTED - " + text + " (540)"};
}

failure internal_error(const std::string& text) {
  return {ec::internal_error, "INTERNAL_ERROR - " + text + " (541)"};
}

failure no_route(const std::string& exchange, const std::string& routing_key) {
  return {ec::no_route, "publish to exchange '" + exchange + "' with routing key '" + routing_key
                            + "': NO_ROUTE (312)"};
}

failure inequivalent(std::string_view argument, const std::string& entity,
                     std::string_view received, std::string_view current) {
  std::string text = "inequivalent arg '";
  text += argument;
  text += "' for " + entity + ": received ";
  text += received;
  text += " but current is ";
  text += current;
  return precondition_failed(text);
}

std::string describe_queue(const std::string& name) {
  return "queue '" + name + "'";
}

} // namespace actors::amqp::memory
