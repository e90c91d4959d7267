#define CAF_SUITE market_data.recording

#include "market_data/recording.hpp"

#include <vector>

#include "actors/error.hpp"
#include "actors/event_type.hpp"
#include "temporary_file.hpp"

#include "caf/test/dsl.hpp"

using namespace market_data;
using namespace std::chrono_literals;

namespace {

struct contents {
  std::vector<timed_event> events;
  std::map<std::string, std::uint64_t> skipped;
  std::string error;
};

contents read_all(const recording_settings& settings) {
  contents result;
  auto file = recording::open(settings);
  CAF_REQUIRE(file);
  for (;;) {
    auto next = file->next();
    if (!next)
      result.error = actors::text_of(next.error());
    if (!next || !*next)
      break;
    result.events.push_back(std::move(**next));
  }
  result.skipped = file->skipped();
  return result;
}

contents read_text(std::string_view text) {
  temporary_file file{text};
  recording_settings settings;
  settings.path = file.path();
  settings.symbol = "BTC/USDT";
  return read_all(settings);
}

const std::string trade_message =
    R"({"stream":"btcusdt@trade","data":{"p":"61837.63","q":"0.02","T":1723161255342,"m":true}})";

} // namespace

CAF_TEST(messages of both kinds of receive time become events) {
  const auto x = read_text("1723161254087896568 " + trade_message + "\n"
                           + "1723161255.5: " + trade_message + "\n");
  CAF_REQUIRE_EQUAL(x.events.size(), 2u);
  CAF_CHECK(x.events[0].at == 1'723'161'254'087'896'568ns);
  CAF_CHECK(x.events[1].at == 1'723'161'255'500'000'000ns);
  CAF_CHECK_EQUAL(stream_of(x.events[0].what), "Trade:binance.BTC/USDT");
  CAF_CHECK(x.skipped.empty());
}

CAF_TEST(time never runs backwards) {
  const auto x = read_text("20 " + trade_message + "\n10 " + trade_message + "\n");
  CAF_REQUIRE_EQUAL(x.events.size(), 2u);
  CAF_CHECK(x.events[1].at == 20ns);
}

CAF_TEST(lines that hold no event are counted by what they are) {
  const auto x = read_text("wss://stream.binance.com:9443/stream?streams=a/b <-> 1633998511.15\n"
                           R"(1 {"stream":"btcusdt@bookTicker","data":{}})"
                           "\n"
                           R"(2 {"stream":"btcusdt@bookTicker","data":{}})"
                           "\n\n"
                           "17 apples\n"
                           "{\"result\":null}\n"
                           "{\"cut\n");
  CAF_CHECK(x.events.empty());
  CAF_CHECK_EQUAL(x.error, "");
  CAF_CHECK(x.skipped
            == (std::map<std::string, std::uint64_t>{{"bookTicker", 2},
                                                     {"empty lines", 1},
                                                     {"malformed JSON", 2},
                                                     {"other lines", 1},
                                                     {"other messages", 1}}));
}

CAF_TEST(an event goes out as it came with its data to the letter) {
  const std::string data =
      R"({"t": 1558949307370.25,  "x": [0.10, "}\"{", 1e400, "\u00fc", NaN, "\ud800"]})";
  const auto x = read_text(R"({"name":"EVENT_X","data":)" + data
                           + R"(,"exchange":"Own","routing_key":"a.b"})" + "\n");
  CAF_REQUIRE_EQUAL(x.events.size(), 1u);
  const auto& event = std::get<actors::event>(x.events[0].what);
  CAF_CHECK_EQUAL(event.name, "EVENT_X");
  CAF_CHECK_EQUAL(event.exchange, "Own");
  CAF_CHECK_EQUAL(event.routing_key, "a.b");
  CAF_CHECK_EQUAL(event.data.text(), data);
  CAF_CHECK(x.events[0].at == 1'558'949'307'370ms);
}

CAF_TEST(a table is read to its end or to its first bad row) {
  const std::string header = "time,price,quantity,action\n";
  CAF_CHECK_EQUAL(read_text(header + "1,2,3,BUY\n2,3,4,SELL\n").events.size(), 2u);
  const auto bad = read_text(header + "1,2,3,BUY\n2,3,4,HOLD\n");
  CAF_CHECK_EQUAL(bad.events.size(), 1u);
  CAF_CHECK(bad.error.find("line 3: column 'action'") != std::string::npos);
}

CAF_TEST(a second symbol where one was named is an error with its line) {
  const auto x =
      read_text("1 " + trade_message + "\n" + "2 "
                + R"({"stream":"ethusdt@trade","data":{"p":"1","q":"1","T":1,"m":true}})" + "\n");
  CAF_CHECK_EQUAL(x.events.size(), 1u);
  CAF_CHECK(x.error.find("line 2: ") != std::string::npos);
  CAF_CHECK(x.error.find("ETHUSDT") != std::string::npos);
}

CAF_TEST(receive times are nanoseconds or seconds with a colon) {
  CAF_CHECK(parse_receive_time("17") == 17ns);
  CAF_CHECK(parse_receive_time("1633998512.0633569:") == 1'633'998'512'063'356'900ns);
  CAF_CHECK(parse_receive_time("2:") == 2s);
  for (auto text : {"", ":", "x", "1.5", "1.x:", "1x:"})
    CAF_CHECK(!parse_receive_time(text));
}

CAF_TEST(the raw text of a member is found behind values of all kinds) {
  const std::string_view object =
      R"( { "a" : "\"}", "b":[{"data":1},"]"] ,"c":{"d":{}},"n":-1.50e3,"data" : null } )";
  CAF_CHECK_EQUAL(std::string{raw_member(object, "a")}, R"("\"}")");
  CAF_CHECK_EQUAL(std::string{raw_member(object, "b")}, R"([{"data":1},"]"])");
  CAF_CHECK_EQUAL(std::string{raw_member(object, "c")}, R"({"d":{}})");
  CAF_CHECK_EQUAL(std::string{raw_member(object, "n")}, "-1.50e3");
  CAF_CHECK_EQUAL(std::string{raw_member(object, "data")}, "null");
  CAF_CHECK(raw_member(object, "e").empty());
  CAF_CHECK(raw_member("{}", "e").empty());
}

CAF_TEST(real recordings are accounted for line by line) {
  const auto* folder = std::getenv("ACTORS_RECORDINGS");
  const std::string path =
      std::string{folder ? folder : ""} + "/binance_spot_btcusdt_20240808.aioquant-mix.txt.gz";
  if (!folder || !std::filesystem::exists(path)) {
    CAF_MESSAGE("ACTORS_RECORDINGS names no folder of recordings: nothing read");
    return;
  }
  recording_settings settings;
  settings.path = path;
  const auto x = read_all(settings);
  std::map<std::string, std::uint64_t> streams;
  for (const auto& event : x.events)
    ++streams[stream_of(event.what)];
  CAF_CHECK(streams
            == (std::map<std::string, std::uint64_t>{{"Kline:binance.BTC/USDT", 168},
                                                     {"Orderbook:binance.BTC/USDT", 334},
                                                     {"Trade:binance.BTC/USDT", 9'757}}));
  CAF_CHECK(x.skipped.empty());
}
