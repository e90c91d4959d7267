#include "supervise/supervising.hpp"

#include <cstddef>
#include <utility>
#include <variant>

#include <fmt/core.h>

#include "publishing/publication_failures.hpp"

namespace actors {

namespace {

link_set::settings links_of(supervising_settings& settings) {
  auto& config = settings.config;
  return {std::move(config.endpoints), config.reconnect, config.server_id, config.verify_interval,
          settings.epoch};
}

// Retries and dead letters go by the default exchange: a copy without room in the outbox leaves its
// message in the queue.
publication_tracker::settings publications_of(supervising_settings& settings) {
  auto& config = settings.config;
  config.outbox.exchanges.try_emplace("", exchange_limits{});
  return {std::move(config.outbox), config.publisher_confirms, config.reconnect.limit,
          settings.epoch, settings.unsent_file};
}

/// Has each order carried out, and removes the orders that are done, even if one throws.
template <class Order, class F>
void carry_out_each(std::vector<Order>& orders, F carry_out) {
  std::size_t done = 0;
  try {
    while (done < orders.size())
      carry_out(orders[done++]);
  } catch (...) {
    orders.erase(orders.begin(), orders.begin() + static_cast<std::ptrdiff_t>(done));
    throw;
  }
  orders.clear();
}

} // namespace

supervising::supervising(supervise_door& door, supervising_settings settings)
    : door_(door), links_(links_of(settings)), publications_(publications_of(settings), links_) {
  for (auto& exchange : settings.config.exchanges)
    links_.want_from_start(exchange);
  for (auto& message : settings.unsent)
    links_.want_for_former(exchange_named(message.exchange));
  tell_time();
  publications_.send_first(std::move(settings.unsent));
  carry_out();
}

// -- what the values order ----------------------------------------------------------------

void supervising::tell_time() {
  const auto now = door_.now();
  links_.at(now);
  publications_.at(now);
}

void supervising::carry_out() {
  if (links_.take_exchanges_changed())
    publications_.on_exchanges_changed();
  carry_out_each(publications_.news, [this](auto& news) { door_.carry_out(news); });
  carry_out_each(publications_.orders, [this](auto& order) { this->carry_out(order); });
  const auto links_need_it = links_.take_apart_changed();
  if (publications_.take_apart_changed() || links_need_it)
    links_.tend_apart(publications_.needs_apart());
  carry_out_each(links_.orders, [this](auto& order) { door_.carry_out(order); });
}

void supervising::carry_out(publication_tracker::order& order) {
  std::visit([this](auto& x) { carry_out(x); }, order);
}

void supervising::carry_out(publication_tracker::batch& order) {
  auto& by = links_.link(order.by);
  by.out->publish(by.generation, std::move(order.messages));
}

void supervising::carry_out(const link_set::close_link& order) {
  link_set::order close{order};
  door_.carry_out(close);
}

void supervising::carry_out(publication_tracker::redeclare_exchanges) {
  links_.redeclare_exchanges();
}

void supervising::carry_out(publication_tracker::renew_apart) {
  links_.renew_apart();
}

void supervising::carry_out(const publication_tracker::wake& order) {
  door_.carry_out(order);
}

// -- links --------------------------------------------------------------------------------

void supervising::connect(link_role role) {
  tell(
      [role](auto& links, auto& publications) { links.connect(role, publications.needs_apart()); });
}

void supervising::on_down(link_role role, const failure& reason) {
  tell_time();
  auto end = links_.on_down(role, reason);
  carry_out();
  end.at_once = publications_.on_down(end) || end.at_once;
  carry_out();
  const auto comes_back = links_.reconnect(end, publications_.needs_apart());
  carry_out();
  if (!comes_back)
    continue_stop();
}

void supervising::on_channel_lost(link_role role, const amqp::closed_channel& lost) {
  tell_time();
  links_.on_channel_lost(role, lost);
  carry_out();
  if (lost.which == amqp::channel::publishing)
    publications_.blame(role, lost.reason);
  carry_out();
  links_.follow_channel_lost(role);
  carry_out();
}

void supervising::on_fault(const std::vector<link_role>& unconnected) {
  tell([&unconnected](auto& links, auto& publications) {
    publications.on_fault();
    for (auto role : unconnected)
      links.on_not_connected(role);
    links.renew_all(publications.needs_apart());
  });
}

// -- publications -------------------------------------------------------------------------

failure supervising::publish(amqp::publication message) {
  if (publications_.heeds_time(message))
    tell_time();
  auto judgement = publications_.judge(message);
  if (judgement.refused)
    return refuse(std::move(judgement.refused), message);
  if (judgement.is_exchange_new)
    links_.want_for_publications(exchange_named(message.exchange, message.durable_exchange));
  publications_.stamp(message, judgement);
  door_.admit(message);
  publications_.push(std::move(message), judgement);
  carry_out();
  return {};
}

failure supervising::refuse(failure reason, const amqp::publication& message) {
  auto result = publications_.refuse(std::move(reason), message);
  carry_out();
  return result;
}

void supervising::on_confirmations(const std::vector<amqp::confirmation>& answers) {
  if (publications_.heeds_time(answers))
    tell_time();
  publications_.on_answers(answers);
  carry_out();
  continue_stop();
}

void supervising::flush() {
  if (publications_.heeds_time())
    tell_time();
  publications_.flush();
  carry_out();
  continue_stop();
}

void supervising::expire() {
  tell([](auto&, auto& publications) { publications.expire(); });
  continue_stop();
}

// -- looking, ending ----------------------------------------------------------------------

supervisor_status supervising::status() const {
  supervisor_status result;
  links_.tell(result);
  result.outbox = publications_.status();
  return result;
}

std::string supervising::heartbeat_text() const {
  const auto state_of = [this](link_role x) { return links_.link(x).up ? "up" : "down"; };
  return fmt::format("consuming link {}, publishing link {}, {} consumers, {} waiting",
                     state_of(link_role::consuming), state_of(link_role::publishing),
                     links_.running_consumers(), publications_.waiting());
}

bool supervising::stop() {
  tell_time();
  if (!links_.stop())
    return false;
  carry_out();
  return true;
}

void supervising::continue_stop() {
  if (!links_.stopping().has_begun())
    return;
  const auto is_over = links_.continue_stop(publications_.is_drained());
  carry_out();
  if (is_over)
    end_stop();
}

void supervising::on_deadline(stop_stage stage) {
  tell_time();
  const auto is_over = links_.on_deadline(stage, publications_.is_drained());
  carry_out();
  if (is_over)
    end_stop();
}

void supervising::end_stop() {
  if (std::exchange(has_ended_, true))
    return;
  tell_time();
  auto unsent = publications_.take_unsent();
  carry_out();
  door_.end_stop(std::move(unsent));
}

} // namespace actors
