#include "center/settings.hpp"

#include <boost/json/serialize.hpp>

#include <actors/error.hpp>

#include "bodies.hpp"

namespace with_actors {

actors::config settings_for(const bench::work& x, const strategy_options& how) {
  boost::json::object broker{{"url", x.url}};
  boost::json::object document{{"SERVER_ID", "bench"},
                               {"RABBITMQ", broker},
                               {"LOG", {{"level", "WARNING"}}},
                               {"PUBLISHER_CONFIRMS", how.confirms}};
  auto result = actors::parse_config(boost::json::serialize(document));
  if (!result)
    bench::fail(actors::text_of(result.error()));
  return std::move(*result);
}

actors::subscription subscription_for(const bench::work& x, const strategy_options& how,
                                      const std::string& routing_key) {
  auto result = x.kind == "trade"   ? actors::subscription::to<actors::trade>(routing_key)
                : x.kind == "kline" ? actors::subscription::to<actors::kline>(routing_key)
                                    : actors::subscription::to<actors::orderbook>(routing_key);
  if (how.feed)
    return result;
  return result.on_queue(x.queue)
      .prefetch(x.no_ack ? 1 : x.prefetch)
      .acked(how.on_success ? actors::ack_policy::on_success : actors::ack_policy::on_dispatch)
      .multi(x.no_ack);
}

} // namespace with_actors
