#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "actors/export.hpp"

namespace actors {

/// Every way in which the event center can fail. `is_transient` tells errors that are worth a
/// retry from final ones.
enum class ec : std::uint8_t {
  none = 0,

  // -- bad input: a body, a config, an endpoint, a subscription ---------------

  /// The body is not a complete zlib stream.
  malformed_body,
  /// The text is not the JSON that the wire contract asks for.
  malformed_json,
  /// A size, ratio or depth limit was exceeded.
  limit_exceeded,
  /// The body names another event than the subscription decodes.
  unexpected_event,
  /// A config key has a value that is not allowed.
  invalid_config,
  /// A broker URL is not valid.
  invalid_endpoint,
  /// A subscription or publication can never work in its present form.
  invalid_argument,
  /// The subscription contradicts another one on the same queue.
  subscription_conflict,
  /// There is no such subscription.
  not_subscribed,

  // -- replies of the broker, by their AMQP 0-9-1 reply code -------------------

  content_too_large,   // 311
  no_route,            // 312
  no_consumers,        // 313
  connection_forced,   // 320
  invalid_path,        // 402
  access_refused,      // 403
  not_found,           // 404
  resource_locked,     // 405
  precondition_failed, // 406
  frame_error,         // 501
  syntax_error,        // 502
  command_invalid,     // 503
  channel_error,       // 504
  unexpected_frame,    // 505
  resource_error,      // 506
  not_allowed,         // 530, a missing vhost or a connection limit
  not_implemented,     // 540
  internal_error,      // 541
  /// A reply code that AMQP 0-9-1 does not define.
  unknown_reply,

  // -- the link ----------------------------------------------------------------

  /// The host name does not resolve.
  resolve_failed,
  /// No TCP connection could be made.
  connect_failed,
  /// No TCP connection was made within the connection time-out.
  connect_timeout,
  /// The broker accepted the TCP connection but did not finish the handshake in time.
  handshake_timeout,
  /// The broker refused the credentials.
  login_refused,
  /// The peer does not speak AMQP 0-9-1, or broke its rules.
  protocol_error,
  /// The broker did not answer a request in time.
  request_timeout,
  /// The broker did not take the bytes that we sent in time.
  send_timeout,
  /// The broker was silent for two heartbeats.
  heartbeat_timeout,
  /// The TCP connection ended.
  connection_lost,
  /// TLS could not be set up, or the certificate was not accepted.
  tls_failed,

  // -- the event center --------------------------------------------------------

  /// The outbox is full, and its overflow policy rejects new messages.
  outbox_full,
  /// The outbox's overflow policy dropped a queued message.
  outbox_dropped,
  /// The broker could not take responsibility for a message (basic.nack).
  publish_rejected,
  /// The broker cancelled the consumer, most often because its queue is gone.
  consumer_cancelled,
  /// The broker dropped the consumer without notice.
  consumer_wedged,
  /// The strategy answered a delivery with an error, or ended.
  handler_failed,
  /// The strategy did not answer a delivery within the time limit.
  handler_timeout,
  /// The message's time to live passed before the message could be sent.
  expired,
  /// The broker may or may not have the message, because the broker's answer was lost.
  in_doubt,
  /// The event center has stopped and kept the message in the `unsent_file`; the next start
  /// sends the message.
  kept_unsent,
  /// The event center is stopping.
  shutting_down,
};

/// The enumerator's name, e.g. "access_refused".
ACTORS_EXPORT std::string_view to_string(ec code) noexcept;

/// Whether a later attempt may succeed although nothing has changed on our side.
ACTORS_EXPORT bool is_transient(ec code) noexcept;

/// Maps an AMQP 0-9-1 reply code (311 to 541) to its error.
ACTORS_EXPORT ec from_reply_code(std::uint16_t code) noexcept;

/// An error as a plain value that crosses threads freely. The text names the entity and never
/// holds a secret.
struct failure {
  ec code = ec::none;
  std::string text;

  explicit operator bool() const noexcept {
    return code != ec::none;
  }
};

/// "code: text".
ACTORS_EXPORT std::string to_string(const failure& x);

} // namespace actors
