#include "amqp/rabbitmq/session.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <amqp_framing.h>

#include "actors/version.hpp"
#include "amqp/rabbitmq/requests.hpp"
#include "amqp/wire_rules.hpp"

// The reactions of a session to the broker's methods about the connection: its beginning, its
// limits and its end.

namespace actors::amqp {

namespace {

constexpr auto no_plain = "the broker offers no login by password (PLAIN), only: ";
constexpr auto no_external =
    "the broker offers no login by certificate (EXTERNAL): enable its "
    "plugin rabbitmq_auth_mechanism_ssl and the mechanism; it offers only: ";

/// Names the user or the certificate that logs in.
std::string who(const endpoint& where) {
  return where.auth_mechanism == auth_mechanism::external
             ? "the holder of certificate '" + where.tls.certfile + "'"
             : "user '" + where.username + "'";
}

/// Returns the number after `before`, if the text has both; brokers put some numbers in
/// parentheses.
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view before) {
  auto at = text.find(before);
  if (at == std::string_view::npos)
    return std::nullopt;
  text.remove_prefix(at + before.size());
  text.remove_prefix(std::min(text.find_first_not_of(" ("), text.size()));
  std::uint64_t result = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  return error == std::errc{} ? std::optional{result} : std::nullopt;
}

bool mentions(std::string_view text, std::string_view words) {
  return text.find(words) != std::string_view::npos;
}

/// Returns the smaller of two limits, where 0 means no limit.
template <class Number>
Number agree(Number left, Number right) {
  return left == 0 || right == 0 ? std::max(left, right) : std::min(left, right);
}

} // namespace

// -- the connection ---------------------------------------------------------------

void session::on_greeting(std::string_view payload) {
  field_reader in{payload};
  if (in.number<std::uint32_t>() != AMQP_CONNECTION_START_METHOD)
    return broken("the broker does not greet as AMQP 0-9-1 asks");
  auto greeting = read_server_greeting(payload.substr(sizeof(std::uint32_t)));
  if (!greeting || greeting->major != 0 || greeting->minor != 9)
    return broken("the broker does not greet as AMQP 0-9-1 asks");
  const auto external = where_.auth_mechanism == auth_mechanism::external;
  const std::string mechanism = external ? "EXTERNAL" : "PLAIN";
  if ((" " + greeting->mechanisms + " ").find(" " + mechanism + " ") == std::string::npos)
    return down(ec::login_refused, (external ? no_external : no_plain) + greeting->mechanisms);
  broker_ = std::move(greeting->broker);
  keeps_cancelled_ = greeting->keeps_cancelled;
  field_table capabilities;
  for (auto name : {"authentication_failure_close", "basic.nack", "connection.blocked",
                    "consumer_cancel_notify", "exchange_exchange_bindings", "publisher_confirms"})
    capabilities.emplace_back(name, true);
  field_table about{{"product", std::string{"libactors"}},
                    {"version", std::string{version}},
                    {"platform", std::string{"C++"}}};
  if (!where_.connection_name.empty())
    about.emplace_back("connection_name", where_.connection_name);
  about.emplace_back("capabilities", as_opaque(capabilities));
  out_.frame_max(greeting->first_frame_max);
  // The certificate is the whole response of EXTERNAL.
  auto response =
      external ? std::string{} : '\0' + where_.username + '\0' + where_.password.reveal();
  auto written = out_.method_with(0, AMQP_CONNECTION_START_OK_METHOD, [&](field_writer& to) {
    to.table(about);
    to.short_string(mechanism);
    to.long_string(response);
    to.short_string("en_US");
  });
  if (!written)
    return down(ec::invalid_endpoint,
                "user name, password and connection name are too long together: " + broker_
                    + " takes a login of " + std::to_string(greeting->first_frame_max) + " bytes");
  phase_ = phase::tuning;
}

void session::on_tune(std::string_view arguments) {
  auto tune = decode<amqp_connection_tune_t>(AMQP_CONNECTION_TUNE_METHOD, arguments);
  if (tune == nullptr)
    return;
  channels_.limit(agree(tune->channel_max, where_.known.channels),
                  where_.known.consumers_per_channel);
  // The caller counts consumers by the limits, so it must know of a lower one.
  if (where_.known.consumers_per_channel > 0 && channels_.allowed() < where_.known.channels) {
    where_.known.channels = channels_.allowed();
    events_->learned(where_.known);
  }
  auto frame_max = agree<std::size_t>(tune->frame_max, wanted_frame_max);
  if (frame_max < AMQP_FRAME_MIN_SIZE)
    return broken("the broker asks for frames below AMQP's minimum");
  frame_max_ = frame_max;
  out_.frame_max(frame_max);
  auto wanted =
      static_cast<std::uint16_t>(std::clamp<std::int64_t>(where_.heartbeat.count(), 0, 0xFFFF));
  auto seconds = wanted == 0 ? wanted : agree(wanted, tune->heartbeat);
  heartbeat_ = std::chrono::seconds{seconds};
  amqp_connection_tune_ok_t agreed{};
  agreed.channel_max = tune->channel_max == 0 ? 0xFFFF : tune->channel_max;
  agreed.frame_max = static_cast<std::uint32_t>(frame_max);
  agreed.heartbeat = seconds;
  out_.method(0, AMQP_CONNECTION_TUNE_OK_METHOD, agreed);
  amqp_connection_open_t open{};
  open.virtual_host = bytes_of(where_.vhost);
  if (where_.vhost.size() > max_short_string || !out_.method(0, AMQP_CONNECTION_OPEN_METHOD, open))
    return down(ec::invalid_endpoint, "the vhost's name is longer than 255 bytes");
  phase_ = phase::opening;
}

void session::on_connection_method(amqp_method_number_t id, std::string_view arguments) {
  switch (id) {
  case AMQP_CONNECTION_CLOSE_METHOD:
    return on_connection_closed(arguments);
  case AMQP_CONNECTION_CLOSE_OK_METHOD:
    if (phase_ == phase::closing)
      return down(ec::none, {});
    break;
  case AMQP_CONNECTION_TUNE_METHOD:
    if (phase_ == phase::tuning)
      return on_tune(arguments);
    break;
  case AMQP_CONNECTION_OPEN_OK_METHOD:
    if (phase_ != phase::opening)
      break;
    phase_ = phase::up;
    events_->up(broker_);
    for (auto& early : std::exchange(early_, {}))
      std::visit([this](auto& x) { run(x); }, early);
    return;
  case AMQP_CONNECTION_BLOCKED_METHOD:
    if (in_handshake())
      break;
    if (auto method = decode<amqp_connection_blocked_t>(id, arguments)) {
      blocked_ = true;
      flush();
      events_->blocked(std::string{view(method->reason)});
    }
    return;
  case AMQP_CONNECTION_UNBLOCKED_METHOD:
    if (in_handshake())
      break;
    blocked_ = false;
    waiting_since_ = now_;
    channels_.for_each([this](line& x) { x.since = now_; });
    flush();
    return events_->unblocked();
  default:
    break;
  }
  unexpected(id);
}

void session::on_connection_closed(std::string_view arguments) {
  auto close = decode<amqp_connection_close_t>(AMQP_CONNECTION_CLOSE_METHOD, arguments);
  if (close == nullptr)
    return;
  out_.method(0, AMQP_CONNECTION_CLOSE_OK_METHOD, amqp_connection_close_ok_t{});
  auto code = from_reply_code(close->reply_code);
  auto text = reply_text(*close);
  if (phase_ == phase::closing)
    return down(ec::none, {});
  if (phase_ == phase::tuning && code == ec::access_refused)
    return down(ec::login_refused, "the broker refuses the login of " + who(where_) + ": " + text);
  if (phase_ == phase::opening && (code == ec::not_allowed || code == ec::invalid_path))
    return down(ec::not_allowed,
                "the broker refuses " + who(where_) + " the vhost '" + where_.vhost + "': " + text);
  flush();
  // A new limit explains the close, so no request is suspected.
  if (!learn({code, text}))
    if (auto blamed = suspects(culprit(*close)); !blamed.empty())
      events_->suspected(std::move(blamed));
  down(code, "the broker closed the connection: " + text);
}

// A channel works on one request at a time, so one request per channel is suspected. A crash
// names no method.
std::vector<request_id> session::suspects(amqp_method_number_t culprit) const {
  std::vector<request_id> result;
  channels_.for_each([&](const line& candidate) {
    auto i = std::find_if(candidate.items.begin(), candidate.items.end(),
                          [&](const request_command& request) {
                            return culprit == 0 || is_made_with(request.op, culprit);
                          });
    if (i != candidate.items.end())
      result.push_back(i->id);
  });
  return result;
}

// RabbitMQ states its limits only in the texts of errors.
bool session::learn(const failure& reason) {
  auto known = where_.known;
  const std::string_view text = reason.text;
  if (mentions(text, "number of channels opened")) {
    // The user's other links have at least as many channels, and share the limit.
    const auto ours = std::max(1, channels_.open() - 1);
    const auto all = number_behind(text, "limit of").value_or(2);
    known.channels = static_cast<std::uint16_t>(
        std::clamp<std::uint64_t>(all / 2, 1, static_cast<std::uint64_t>(ours)));
  } else if (mentions(text, "of consumers per channel")) {
    std::size_t most = 0;
    channels_.for_each([&](const line& x) { most = std::max(most, x.consumers.size()); });
    known.consumers_per_channel = static_cast<std::uint32_t>(std::max<std::uint64_t>(
        1, number_behind(text, "reached maximum").value_or(most > 0 ? most - 1 : 0)));
    known.channels = channels_.allowed(); // both limits together bound the consumers
  } else if (auto size =
                 mentions(text, "message size ") ? number_behind(text, "max size") : std::nullopt) {
    known.message_size = *size;
  } else if (mentions(text, "transient_nonexcl_queues")) {
    known.transient_queues = false;
  }
  if (known == where_.known)
    return false;
  where_.known = known;
  events_->learned(known);
  return true;
}

} // namespace actors::amqp
