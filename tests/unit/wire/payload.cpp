#define CAF_SUITE payload

#include "wire/payload.hpp"

#include <cstdint>
#include <string>

#include <zlib.h>

#include "actors/error.hpp"
#include "actors/market.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

std::string from_hex(std::string_view text) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string result;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    result += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  return result;
}

std::string deflated(std::string_view text) {
  auto size = compressBound(text.size());
  std::string result(size, '\0');
  compress(reinterpret_cast<Bytef*>(result.data()), &size,
           reinterpret_cast<const Bytef*>(text.data()), text.size());
  result.resize(size);
  return result;
}

std::string inflated(std::string_view body) {
  std::string result(100'000, '\0');
  auto size = static_cast<uLongf>(result.size());
  CAF_REQUIRE_EQUAL(uncompress(reinterpret_cast<Bytef*>(result.data()), &size,
                               reinterpret_cast<const Bytef*>(body.data()), body.size()),
                    Z_OK);
  result.resize(size);
  return result;
}

// Digits that zlib makes little of.
std::string digits(std::size_t size) {
  std::string result;
  for (std::uint32_t x = 1; result.size() < size; x = x * 1664525 + 1013904223)
    result += static_cast<char>('1' + (x >> 16) % 9);
  return result;
}

// "NAME=DATA", with a "?" in between if the data is not checked; else the error.
std::string opened(payload_decoder& decoder, std::string_view body) {
  auto parts = decoder.decode(body);
  if (!parts)
    return to_string(to_failure(parts.error()));
  return std::string{parts->name} + (parts->checked ? "=" : "?=") + std::string{parts->data};
}

std::string opened_text(std::string_view text) {
  payload_decoder decoder;
  return opened(decoder, deflated(text));
}

} // namespace

// -- bodies of Python peers: zlib.compress(json.dumps({"n": ..., "d": ...}).encode(), level) -----

CAF_TEST(an order book of level 6) {
  payload_decoder decoder;
  auto body =
      from_hex("789cab56ca53b25250720d73f50b89f70f72710d72f2f7f756d251504a018a572b1580649332"
               "f312f3925341a2c560d5211efaa1c12e21208144a04074b492859985819eb9010480c40df40c"
               "0c8c20bc581d05980243a094a19e692c5048290949a7992542a7a19e91a9125845095085a1a9"
               "a985a589a5b181b9b1b9416d2d0055eb27ac");
  CAF_CHECK_EQUAL(opened(decoder, body),
                  R"(EVENT_ORDERBOOK?={"p": "binance", "s": "ETH/USDT", "a": [["8680.70000000", )"
                  R"("0.00200000"], ["8680.71", 1.5]], "b": [["8680.69000000", "1.25"]], )"
                  R"("t": 1558949307370})");
}

CAF_TEST(a trade of level 9) {
  payload_decoder decoder;
  auto body = from_hex("78daab56ca53b25250720d73f50b890f0972747155d251504a018a552b1580649232f312f3"
                       "925341a2c56095211efaa1c12e212081449040b0ab8f0f881300e258985918e8991b400048"
                       "b410286aa067086495005986a6a616962696c606e6c6e606b5b50066231cb0");
  CAF_CHECK_EQUAL(opened(decoder, body),
                  R"(EVENT_TRADE?={"p": "binance", "s": "ETH/USDT", "a": "SELL", )"
                  R"("P": "8680.70000000", "q": 0.1, "t": 1558949307370})");
}

CAF_TEST(a kline of level 0) {
  payload_decoder decoder;
  auto body =
      from_hex("780101a1005eff7b226e223a20224556454e545f4b4c494e45222c202264223a207b227022"
               "3a202262696e616e6365222c202273223a20224554482f55534454222c20226f223a202231"
               "2e30222c202268223a2022322e30222c20226c223a2022302e35222c202263223a2022312e"
               "35222c202276223a20223130302e3030222c202274223a20313535383934393330373337302c"
               "20226b74223a20226b6c696e655f356d227d7dae492489");
  CAF_CHECK_EQUAL(opened(decoder, body),
                  R"(EVENT_KLINE?={"p": "binance", "s": "ETH/USDT", "o": "1.0", "h": "2.0", )"
                  R"("l": "0.5", "c": "1.5", "v": "100.00", "t": 1558949307370, )"
                  R"("kt": "kline_5m"})");
}

CAF_TEST(a name with escapes) {
  payload_decoder decoder;
  auto body = from_hex("789cab56ca53b25250720d73f50b898f2935304836019129664a3a0a4a2940a96aa5629082"
                       "9852d3540343fdd06097108598522303230ba5da5a00f7aa1050");
  CAF_CHECK_EQUAL(opened(decoder, body), R"(EVENT_ÄÖ={"s": "\u5e01/USDT \u2028"})");
}

CAF_TEST(data that is null) {
  payload_decoder decoder;
  auto body = from_hex("789cab56ca53b25250720d73f50b89f7f30ff1f0f47357d251504a018ae695e6e4d4020096"
                       "bb094a");
  CAF_CHECK_EQUAL(opened(decoder, body), "EVENT_NOTHING?=null");
}

// -- forms of the text ---------------------------------------------------------------

CAF_TEST(white space between the parts) {
  CAF_CHECK_EQUAL(opened_text(R"({"n":"A","d":{}})"), "A?={}");
  CAF_CHECK_EQUAL(opened_text(" \t\r\n{ \"n\" :\n\"A\" , \"d\" : [ 1 ] } \n"), "A?=[ 1 ]");
}

CAF_TEST(other forms are read key by key) {
  CAF_CHECK_EQUAL(opened_text(R"({"d": {"x": "}"}, "n": "A"})"), R"(A={"x": "}"})");
  CAF_CHECK_EQUAL(opened_text(R"({"v": [1, {"n": 0}], "n": "A", "w": null, "d": -1.5e3})"),
                  "A=-1.5e3");
  CAF_CHECK_EQUAL(opened_text(R"({"\u006e": "A", "\u0064": true})"), "A=true");
  CAF_CHECK_EQUAL(opened_text(R"({"n": "A\"B\\", "d": "x\"y"})"), R"(A"B\="x\"y")");
  CAF_CHECK_EQUAL(opened_text(R"({"n": "", "d": []})"), "?=[]");
  CAF_CHECK_EQUAL(opened_text("{\"n\": \"Ä\", \"d\": 1 , \"e\":2}"), "Ä=1");
}

CAF_TEST(of equal keys the last counts) {
  CAF_CHECK_EQUAL(opened_text(R"({"d": 1, "n": "A", "n": "B", "d": 2})"), "B=2");
  // In the usual form this shows only on a second look.
  payload_decoder decoder;
  CAF_CHECK_EQUAL(opened(decoder, deflated(R"({"n": "A", "d": 1, "n": "B", "d": 2})")),
                  R"(A?=1, "n": "B", "d": 2)");
  auto parts = decoder.check();
  CAF_REQUIRE(parts);
  CAF_CHECK(parts->checked);
  CAF_CHECK_EQUAL(std::string{parts->name}, "B");
  CAF_CHECK_EQUAL(std::string{parts->data}, "2");
}

CAF_TEST(a second look finds what is broken) {
  payload_decoder decoder;
  CAF_CHECK_EQUAL(opened(decoder, deflated(R"({"n": "A", "d": {1}})")), "A?={1}");
  auto parts = decoder.check();
  CAF_REQUIRE(!parts);
  CAF_CHECK_EQUAL(to_string(to_failure(parts.error())),
                  "malformed_json: body: offset 17: syntax error");
}

CAF_TEST(text that is not an event is refused) {
  CAF_CHECK_EQUAL(opened_text(""), "malformed_json: body: offset 0: incomplete JSON");
  CAF_CHECK_EQUAL(opened_text("[]"), "malformed_json: body: its text must be an object");
  CAF_CHECK_EQUAL(opened_text("{}"), "malformed_json: body: key 'n' is missing");
  CAF_CHECK_EQUAL(opened_text(R"({"n": "A"})"), "malformed_json: body: key 'd' is missing");
  CAF_CHECK_EQUAL(opened_text(R"({"n": "A", "d": })"),
                  "malformed_json: body: offset 16: syntax error");
  CAF_CHECK_EQUAL(opened_text(R"({"d": 1})"), "malformed_json: body: key 'n' is missing");
  CAF_CHECK_EQUAL(opened_text(R"({"n": 5, "d": 1})"),
                  "malformed_json: body: key 'n' must be a string");
  CAF_CHECK_EQUAL(opened_text(R"({"n": "A)"), "malformed_json: body: offset 8: incomplete JSON");
  CAF_CHECK_EQUAL(opened_text("{\"n\": \"\xff\", \"d\": 1}"),
                  "malformed_json: body: offset 7: syntax error");
}

// -- broken streams ------------------------------------------------------------------

CAF_TEST(a body that is no zlib stream is refused) {
  payload_decoder decoder;
  CAF_CHECK_EQUAL(opened(decoder, ""), "malformed_body: body: is empty, a zlib stream is wanted");
  CAF_CHECK_EQUAL(opened(decoder, R"({"n": "A", "d": 1})"),
                  "malformed_body: body of 18 bytes: not a zlib stream at offset 2: incorrect "
                  "header check");
}

CAF_TEST(a body that is cut off is refused) {
  payload_decoder decoder;
  auto body = deflated(R"({"n": "EVENT_TRADE", "d": {"p": "binance"}})");
  for (std::size_t size = 1; size < body.size(); ++size)
    CAF_CHECK_EQUAL(opened(decoder, body.substr(0, size)),
                    "malformed_body: body of " + std::to_string(size)
                        + " bytes: its zlib stream is cut off");
}

// As Python's zlib.decompress does.
CAF_TEST(bytes after the stream are passed over) {
  payload_decoder decoder;
  auto body = deflated(R"({"n": "A", "d": 1})");
  CAF_CHECK_EQUAL(opened(decoder, body + "123"), "A?=1");
  CAF_CHECK_EQUAL(opened(decoder, body + body), "A?=1");
  auto data = digits(100'000); // takes more than one attempt
  CAF_CHECK_EQUAL(opened(decoder, deflated(R"({"n": "A", "d": )" + data + '}') + "x"),
                  "A?=" + data);
}

CAF_TEST(what Python alone writes is read key by key) {
  CAF_CHECK_EQUAL(opened_text(R"({"d": [NaN, -Infinity], "n": "A"})"), "A=[NaN, -Infinity]");
  CAF_CHECK_EQUAL(opened_text(R"({"x": Infinity, "n": "A", "d": NaN, "y": "\ud800"})"), "A=NaN");
  CAF_CHECK_EQUAL(opened_text(R"({"n": "A\ud800B", "d": "\udc00"})"), "A\xef\xbf\xbd"
                                                                      R"(B="\udc00")");
  CAF_CHECK(opened_text(R"({"x": NaN, "n": "A"})").starts_with("malformed_json: body: "));
}

CAF_TEST(a changed byte is noticed) {
  payload_decoder decoder;
  auto body = deflated(R"({"n": "A", "d": 1})");
  for (std::size_t i = 0; i < body.size(); ++i) {
    auto broken = body;
    broken[i] = static_cast<char>(broken[i] ^ 0x55);
    CAF_CHECK(opened(decoder, broken).starts_with("malformed_body: "));
  }
}

CAF_TEST(a decoder goes on after an error) {
  payload_decoder decoder;
  auto body = deflated(R"({"n": "A", "d": 1})");
  for (auto broken : {std::string{}, body.substr(0, 10), body.substr(1)}) {
    CAF_CHECK(opened(decoder, broken).starts_with("malformed_body: "));
    CAF_CHECK(!decoder.check());
    CAF_CHECK_EQUAL(opened(decoder, body), "A?=1");
  }
}

// -- limits --------------------------------------------------------------------------

CAF_TEST(the size is limited to the byte) {
  auto text = R"({"n": "A", "d": ")" + std::string(100'000, 'x') + "\"}";
  auto body = deflated(text);
  payload_decoder exact{{text.size(), 1'000'000, 32}};
  CAF_CHECK_EQUAL(opened(exact, body).size(),
                  text.size() - std::string_view{R"({"n": , "d": })"}.size());
  payload_decoder tight{{text.size() - 1, 1'000'000, 32}};
  CAF_CHECK_EQUAL(opened(tight, body), "limit_exceeded: body of " + std::to_string(body.size())
                                           + " bytes: inflates to more than "
                                           + std::to_string(text.size() - 1) + " bytes");
}

CAF_TEST(the ratio is limited above 64 KiB) {
  payload_decoder decoder{{1 << 24, 10, 32}};
  auto of_size = [](std::size_t size) {
    return deflated(R"({"n": "A", "d": ")" + std::string(size - 19, '0') + "\"}");
  };
  CAF_CHECK(opened(decoder, of_size(64 * 1024)).starts_with("A?="));
  auto body = of_size(64 * 1024 + 1);
  CAF_CHECK_EQUAL(opened(decoder, body), "limit_exceeded: body of " + std::to_string(body.size())
                                             + " bytes: inflates to more than 10 times its size");
}

// 64 KiB that would become 64 MiB: the first of it tell enough.
CAF_TEST(a bomb is refused by the defaults) {
  payload_decoder decoder;
  auto bomb = deflated(R"({"n": "A", "d": ")" + std::string(64 * 1024 * 1024, '0') + "\"}");
  CAF_CHECK_EQUAL(opened(decoder, bomb), "limit_exceeded: body of " + std::to_string(bomb.size())
                                             + " bytes: inflates to more than 200 times its size");
}

CAF_TEST(a giant is read and forgotten) {
  payload_decoder decoder;
  auto data = digits(4'000'000);
  auto giant = deflated(R"({"n": "A", "d": )" + data + '}');
  auto small = deflated(R"({"n": "B", "d": 1})");
  for (int i = 0; i < 3; ++i) {
    auto parts = decoder.decode(giant);
    CAF_REQUIRE(parts);
    CAF_CHECK(parts->data == data);
    CAF_CHECK_EQUAL(opened(decoder, small), "B?=1");
  }
}

CAF_TEST(the depth is limited on a second look) {
  payload_decoder decoder{{1 << 20, 1000, 3}};
  CAF_CHECK_EQUAL(opened(decoder, deflated(R"({"d": [[]], "n": "A"})")), "A=[[]]");
  CAF_CHECK_EQUAL(opened(decoder, deflated(R"({"d": [[[]]], "n": "A"})")),
                  "limit_exceeded: body: offset 8: more than 3 nested arrays and objects");
}

CAF_TEST(the deepest text does no harm) {
  payload_decoder decoder;
  for (auto form : {R"({"n": "A", "d": )", R"({"d": )"}) {
    auto body = deflated(form + std::string(50'000, '['));
    decoder.decode(body);
    auto parts = decoder.check();
    CAF_CHECK(!parts);
  }
}

CAF_TEST(a second look finds text that is not UTF - 8) {
  payload_decoder decoder;
  for (std::string_view text :
       {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    CAF_CHECK(decoder.decode(deflated(R"({"n": "A", "d": ")" + std::string{text} + "\"}")));
    auto parts = decoder.check();
    CAF_REQUIRE(!parts);
    CAF_CHECK(code_of(parts.error()) == ec::malformed_json);
  }
}

// -- writing -------------------------------------------------------------------------

CAF_TEST(the text is that of Python) {
  payload_encoder encoder;
  CAF_CHECK_EQUAL(inflated(encoder.encode("EVENT_X", R"({"p": 1})")),
                  R"({"n": "EVENT_X", "d": {"p": 1}})");
  CAF_CHECK_EQUAL(inflated(encoder.encode("\"Ä\"", "null")), R"({"n": "\"Ä\"", "d": null})");
}

CAF_TEST(a body begins as those of Python do) {
  payload_encoder encoder;
  for (std::size_t size : {1u, 1'000u})
    CAF_CHECK(encoder.encode("A", digits(size)).starts_with("\x78\x9c"));
}

CAF_TEST(an encoder seals many bodies) {
  auto& encoder = payload_encoder::of_this_thread();
  payload_decoder decoder;
  for (std::size_t size : {1u, 100'000u, 10u, 1'000u}) {
    auto data = digits(size);
    CAF_CHECK_EQUAL(opened(decoder, encoder.encode("A", data)), "A?=" + data);
  }
}

CAF_TEST(both can be moved) {
  payload_encoder encoder;
  auto moved_encoder = std::move(encoder);
  payload_decoder decoder;
  auto moved_decoder = std::move(decoder);
  CAF_CHECK_EQUAL(opened(moved_decoder, moved_encoder.encode("A", "1")), "A?=1");
}

CAF_TEST(an order book goes there and back) {
  orderbook book;
  book.platform = "binance";
  book.symbol = "币/USDT";
  for (int i = 0; i < 20; ++i) {
    book.asks.push_back({decimal::fixed(8680 + i, 8), decimal::shortest(0.5 + i)});
    book.bids.push_back({decimal::fixed(8679 - i, 8), decimal::shortest(0.25 + i)});
  }
  book.timestamp = 1558949307370;
  std::string data;
  append_json(data, book);
  payload_decoder decoder;
  auto parts =
      decoder.decode(payload_encoder::of_this_thread().encode(orderbook::event_name, data));
  CAF_REQUIRE(parts);
  orderbook copy;
  CAF_CHECK(!from_json(parts->data, copy));
  CAF_CHECK(copy == book);
}
