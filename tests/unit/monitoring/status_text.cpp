#define CAF_SUITE status_text

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "actors/json.hpp"
#include "actors/status.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

center_status some_status() {
  center_status result;
  link_status link;
  link.role = link_role::consuming;
  link.state = link_state::down;
  link.endpoint = "amqp://rabbit:5672/";
  link.connects = 2;
  link.losses = 2;
  link.last_code = ec::connection_lost;
  link.last_error = "the broker is gone";
  result.supervisor.links = {link};
  result.supervisor.outbox.waiting = 7;
  result.supervisor.refused = {"queue 'q': no right"};
  handler_status handler;
  handler.id = 3;
  handler.exchange = "Trade";
  handler.routing_key = "binance.ETH/USDT";
  handler.queue = "q";
  handler.subscriber = 12;
  handler.strategy = "market_maker";
  handler.delivered = 5;
  handler.dropped = {1, 2, 3};
  result.dispatcher.handlers = {handler};
  result.dispatcher.received = 9;
  return result;
}

} // namespace

CAF_TEST(a status is a text of lines) {
  CAF_CHECK_EQUAL(
      to_string(some_status()),
      "consuming link: down, amqp://rabbit:5672/, connected 2 times, lost 2 times, the last time: "
      "the broker is gone\n"
      "outbox: 7 waiting, 0 blocked, 0 unconfirmed, 0 bytes; 0 published, 0 confirmed, 0 "
      "returned, 0 rejected, 0 dropped\n"
      "deliveries: 9 received, 0 malformed, 0 unreadable, 0 unmatched, 0 requeued, 0 retried, 0 "
      "dead letters\n"
      "subscription 3 of 'market_maker' (actor 12): Trade:binance.ETH/USDT on queue 'q', not "
      "consuming; 5 delivered, 0 succeeded, 0 failed (0 not in time), 0 in flight, 0 waiting, 6 "
      "dropped, 0 copies, 0 ranges forgotten\n"
      "refused: queue 'q': no right\n");
}

CAF_TEST(a status is an object as well) {
  const auto text = to_json(some_status());
  const auto& x = text.value().as_object();
  const auto& link = x.at("links").as_array().at(0).as_object();
  CAF_CHECK_EQUAL(link.at("role").as_string(), "consuming");
  CAF_CHECK_EQUAL(link.at("last_code").as_string(), "connection_lost");
  CAF_CHECK_EQUAL(x.at("outbox").at("waiting").to_number<int>(), 7);
  CAF_CHECK_EQUAL(x.at("refused").as_array().size(), 1u);
  CAF_CHECK_EQUAL(x.at("deliveries").at("received").to_number<int>(), 9);
  const auto& handler = x.at("handlers").as_array().at(0).as_object();
  CAF_CHECK_EQUAL(handler.at("strategy").as_string(), "market_maker");
  CAF_CHECK_EQUAL(handler.at("dropped").at("newest").to_number<int>(), 2);
}

CAF_TEST(the status of an event center that was never started is a text as well) {
  CAF_CHECK_EQUAL(to_string(center_status{}).substr(0, 10), "outbox: 0 ");
  CAF_CHECK(to_json(center_status{}).value().at("handlers").as_array().empty());
}
