#pragma once

// What a market maker and its gateway say to each other. An event type of your own is a struct
// and two functions.

#include <string>
#include <string_view>

#include <actors/event_type.hpp>

struct order {
  static constexpr std::string_view event_name = "EVENT_ORDER", exchange = "Order";
  std::string platform, symbol, id;
  double price = 0;
  double quantity = 0; // bought, or sold if negative
};

// What was traded of an order.
struct fill {
  static constexpr std::string_view event_name = "EVENT_FILL", exchange = "Fill";
  std::string platform, symbol, id, order_id;
  double price = 0;
  double quantity = 0;
  bool is_last = true; // nothing more comes of the order
};

inline boost::json::value to_json(const order& x) {
  return {{"platform", x.platform},
          {"symbol", x.symbol},
          {"id", x.id},
          {"price", x.price},
          {"quantity", x.quantity}};
}

inline caf::error from_json(const boost::json::value& in, order& out) {
  out.platform = in.at("platform").as_string();
  out.symbol = in.at("symbol").as_string();
  out.id = in.at("id").as_string();
  out.price = in.at("price").to_number<double>();
  out.quantity = in.at("quantity").to_number<double>();
  return {};
}

inline boost::json::value to_json(const fill& x) {
  return {{"platform", x.platform}, {"symbol", x.symbol}, {"id", x.id},
          {"order_id", x.order_id}, {"price", x.price},   {"quantity", x.quantity},
          {"is_last", x.is_last}};
}

inline caf::error from_json(const boost::json::value& in, fill& out) {
  out.platform = in.at("platform").as_string();
  out.symbol = in.at("symbol").as_string();
  out.id = in.at("id").as_string();
  out.order_id = in.at("order_id").as_string();
  out.price = in.at("price").to_number<double>();
  out.quantity = in.at("quantity").to_number<double>();
  out.is_last = in.at("is_last").as_bool();
  return {};
}
