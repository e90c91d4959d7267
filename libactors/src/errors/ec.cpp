#include "actors/ec.hpp"

namespace actors {

std::string_view to_string(ec code) noexcept {
  switch (code) {
  case ec::none:
    return "none";
  case ec::malformed_body:
    return "malformed_body";
  case ec::malformed_json:
    return "malformed_json";
  case ec::limit_exceeded:
    return "limit_exceeded";
  case ec::unexpected_event:
    return "unexpected_event";
  case ec::invalid_config:
    return "invalid_config";
  case ec::invalid_endpoint:
    return "invalid_endpoint";
  case ec::invalid_argument:
    return "invalid_argument";
  case ec::subscription_conflict:
    return "subscription_conflict";
  case ec::not_subscribed:
    return "not_subscribed";
  case ec::content_too_large:
    return "content_too_large";
  case ec::no_route:
    return "no_route";
  case ec::no_consumers:
    return "no_consumers";
  case ec::connection_forced:
    return "connection_forced";
  case ec::invalid_path:
    return "invalid_path";
  case ec::access_refused:
    return "access_refused";
  case ec::not_found:
    return "not_found";
  case ec::resource_locked:
    return "resource_locked";
  case ec::precondition_failed:
    return "precondition_failed";
  case ec::frame_error:
    return "frame_error";
  case ec::syntax_error:
    return "syntax_error";
  case ec::command_invalid:
    return "command_invalid";
  case ec::channel_error:
    return "channel_error";
  case ec::unexpected_frame:
    return "unexpected_frame";
  case ec::resource_error:
    return "resource_error";
  case ec::not_allowed:
    return "not_allowed";
  case ec::not_implemented:
    return "not_implemented";
  case ec::internal_error:
    return "internal_error";
  case ec::unknown_reply:
    return "unknown_reply";
  case ec::resolve_failed:
    return "resolve_failed";
  case ec::connect_failed:
    return "connect_failed";
  case ec::connect_timeout:
    return "connect_timeout";
  case ec::handshake_timeout:
    return "handshake_timeout";
  case ec::login_refused:
    return "login_refused";
  case ec::protocol_error:
    return "protocol_error";
  case ec::request_timeout:
    return "request_timeout";
  case ec::send_timeout:
    return "send_timeout";
  case ec::heartbeat_timeout:
    return "heartbeat_timeout";
  case ec::connection_lost:
    return "connection_lost";
  case ec::tls_failed:
    return "tls_failed";
  case ec::outbox_full:
    return "outbox_full";
  case ec::outbox_dropped:
    return "outbox_dropped";
  case ec::publish_rejected:
    return "publish_rejected";
  case ec::consumer_cancelled:
    return "consumer_cancelled";
  case ec::consumer_wedged:
    return "consumer_wedged";
  case ec::handler_failed:
    return "handler_failed";
  case ec::handler_timeout:
    return "handler_timeout";
  case ec::expired:
    return "expired";
  case ec::in_doubt:
    return "in_doubt";
  case ec::kept_unsent:
    return "kept_unsent";
  case ec::shutting_down:
    return "shutting_down";
  }
  return "unknown_error";
}

bool is_transient(ec code) noexcept {
  switch (code) {
  // The message or the setting is wrong and stays wrong.
  case ec::none:
  case ec::malformed_body:
  case ec::malformed_json:
  case ec::limit_exceeded:
  case ec::unexpected_event:
  case ec::invalid_config:
  case ec::invalid_endpoint:
  case ec::invalid_argument:
  case ec::subscription_conflict:
  case ec::not_subscribed:
  case ec::content_too_large:
  case ec::invalid_path:
  case ec::precondition_failed:
  case ec::syntax_error:
  case ec::command_invalid:
  case ec::not_implemented:
  case ec::tls_failed:
  case ec::expired:
  case ec::in_doubt:
  case ec::kept_unsent:
  case ec::shutting_down:
    return false;
  // Another program may declare the entity, or an operator grant the permission.
  case ec::no_route:
  case ec::no_consumers:
  case ec::access_refused:
  case ec::not_found:
  case ec::resource_locked:
  case ec::not_allowed:
  case ec::login_refused:
  // A new connection may succeed.
  case ec::connection_forced:
  case ec::frame_error:
  case ec::channel_error:
  case ec::unexpected_frame:
  case ec::resource_error:
  case ec::internal_error:
  case ec::unknown_reply:
  case ec::resolve_failed:
  case ec::connect_failed:
  case ec::connect_timeout:
  case ec::handshake_timeout:
  case ec::protocol_error:
  case ec::request_timeout:
  case ec::send_timeout:
  case ec::heartbeat_timeout:
  case ec::connection_lost:
  // The load may go down again, or the handler recover.
  case ec::outbox_full:
  case ec::outbox_dropped:
  case ec::publish_rejected:
  case ec::consumer_cancelled:
  case ec::consumer_wedged:
  case ec::handler_failed:
  case ec::handler_timeout:
    return true;
  }
  return false;
}

ec from_reply_code(std::uint16_t code) noexcept {
  switch (code) {
  case 311:
    return ec::content_too_large;
  case 312:
    return ec::no_route;
  case 313:
    return ec::no_consumers;
  case 320:
    return ec::connection_forced;
  case 402:
    return ec::invalid_path;
  case 403:
    return ec::access_refused;
  case 404:
    return ec::not_found;
  case 405:
    return ec::resource_locked;
  case 406:
    return ec::precondition_failed;
  case 501:
    return ec::frame_error;
  case 502:
    return ec::syntax_error;
  case 503:
    return ec::command_invalid;
  case 504:
    return ec::channel_error;
  case 505:
    return ec::unexpected_frame;
  case 506:
    return ec::resource_error;
  case 530:
    return ec::not_allowed;
  case 540:
    return ec::not_implemented;
  case 541:
    return ec::internal_error;
  default:
    return ec::unknown_reply;
  }
}

std::string to_string(const failure& x) {
  std::string result{to_string(x.code)};
  if (!x.text.empty()) {
    result += ": ";
    result += x.text;
  }
  return result;
}

} // namespace actors
