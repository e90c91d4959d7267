#define CAF_SUITE json

#include "actors/json.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

std::string written(const boost::json::value& x) {
  return json{x}.text();
}

std::string problem(std::string_view text, std::size_t max_depth = 32) {
  auto x = json::parse(text, max_depth);
  return x ? "none" : to_string(to_failure(x.error()));
}

} // namespace

CAF_TEST(a document keeps its text) {
  // Python writes number text and spacing that no other writer would repeat.
  for (std::string text : {"0.10", "1558949307370", "1.55894930737e12", "[1,2 , 3]", "{\"a\":1.00}",
                           "\"\\u5e01\"", "18446744073709551615", "-0.0", "1E400"}) {
    auto x = json::parse(text);
    CAF_REQUIRE(x);
    CAF_CHECK_EQUAL(x->text(), text);
  }
}

CAF_TEST(a document is there as a value) {
  auto x = json::parse(R"({"t": 1558949307370, "s": "\u5e01", "x": [0.5, null, true]})");
  CAF_REQUIRE(x);
  auto& object = x->value().as_object();
  CAF_CHECK_EQUAL(object.at("t").as_int64(), 1558949307370);
  CAF_CHECK(object.at("s").as_string() == "币");
  CAF_CHECK(object.at("x").at(0).as_double() == 0.5);
}

CAF_TEST(a default document is null) {
  CAF_CHECK(json{}.text() == "null");
  CAF_CHECK(json{}.value().is_null());
}

CAF_TEST(values are written as Python writes them) {
  boost::json::value x{
      {"p", "binance"}, {"a", {1, 2.5, nullptr, true}}, {"e", boost::json::array{}}};
  CAF_CHECK_EQUAL(written(x), R"({"p": "binance", "a": [1, 2.5, null, true], "e": []})");
  CAF_CHECK_EQUAL(written(boost::json::object{}), "{}");
}

CAF_TEST(integers are exact) {
  CAF_CHECK_EQUAL(written(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  CAF_CHECK_EQUAL(written(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
}

CAF_TEST(doubles have the digits of Python) {
  CAF_CHECK_EQUAL(written(0.1), "0.1");
  CAF_CHECK_EQUAL(written(1.0), "1.0");
  CAF_CHECK_EQUAL(written(-0.0), "-0.0");
  CAF_CHECK_EQUAL(written(0.0001), "0.0001");
  CAF_CHECK_EQUAL(written(0.00001), "1e-05");
  CAF_CHECK_EQUAL(written(1558949307370.25), "1558949307370.25");
  CAF_CHECK_EQUAL(written(9999999999999998.0), "9999999999999998.0");
  CAF_CHECK_EQUAL(written(1e16), "1e+16");
  CAF_CHECK_EQUAL(written(1.7976931348623157e308), "1.7976931348623157e+308");
  CAF_CHECK_EQUAL(written(5e-324), "5e-324");
}

CAF_TEST(what JSON has no number for is null) {
  CAF_CHECK_EQUAL(written(std::nan("")), "null");
  CAF_CHECK_EQUAL(written(std::numeric_limits<double>::infinity()), "null");
}

CAF_TEST(strings are escaped where they must be) {
  std::string out;
  append_quoted(out, std::string_view{"\"\\/\b\f\n\r\t\0\x1f\x7f", 11});
  CAF_CHECK_EQUAL(out, R"("\"\\/\b\f\n\r\t\u0000\u001f)"
                       "\x7f\"");
  out.clear();
  append_quoted(out, "币/USDT");
  CAF_CHECK_EQUAL(out, "\"币/USDT\"");
}

CAF_TEST(errors say where) {
  CAF_CHECK_EQUAL(problem(R"({"a": tru})"), "malformed_json: offset 6: syntax error");
  CAF_CHECK_EQUAL(problem(R"({"a": 1} x)"), "malformed_json: offset 9: extra data");
  CAF_CHECK_EQUAL(problem(R"({"a": )"), "malformed_json: offset 6: incomplete JSON");
  CAF_CHECK_EQUAL(problem(""), "malformed_json: offset 0: incomplete JSON");
}

// json.dumps writes them all; no other writer does.
CAF_TEST(what Python alone writes is read to the letter) {
  for (std::string text :
       {"NaN", "Infinity", "-Infinity", "[NaN, -Infinity]", "{\"a\": NaN, \"b\": [1, null]}",
        "\"\\ud800\"", "\"\\udc00\\ud83d\\ude00\"", "{\"\\ud800\": 1e400}", " [NaN]\n",
        "[NaN, 1.10, 12345678901234567890123, -0, 0.5e-3, true, false, \"\\u00e9\\n\\/\"]"}) {
    auto x = json::parse(text);
    CAF_REQUIRE(x);
    CAF_CHECK_EQUAL(x->text(), text);
    CAF_CHECK(json::parse(json{x->value()}.text()));
  }
}

CAF_TEST(what Python alone writes is there as a value) {
  auto x = json::parse(R"({"a": NaN, "b": [Infinity, -Infinity], "c": "x\ud800y\ud83d\ude00",
    "d": {}, "e": [], "f": 18446744073709551615, "g": -7, "h": 0.25, "a": 1, "i": null, "j": NaN})");
  CAF_REQUIRE(x);
  auto& object = x->value().as_object();
  CAF_CHECK_EQUAL(object.at("a").as_int64(), 1);
  CAF_CHECK(std::isnan(object.at("j").as_double()));
  constexpr auto inf = std::numeric_limits<double>::infinity();
  CAF_CHECK(object.at("b").at(0).as_double() == inf && object.at("b").at(1).as_double() == -inf);
  CAF_CHECK(object.at("c").as_string() == "x\xef\xbf\xbdy\xf0\x9f\x98\x80");
  CAF_CHECK(object.at("d").as_object().empty() && object.at("e").as_array().empty());
  CAF_CHECK_EQUAL(object.at("f").as_uint64(), 18446744073709551615u);
  CAF_CHECK_EQUAL(object.at("g").as_int64(), -7);
  CAF_CHECK_EQUAL(object.at("h").as_double(), 0.25);
  CAF_CHECK(object.at("i").is_null());
}

CAF_TEST(what Python refuses is refused) {
  for (auto text : {"[1,]",
                    "/**/1",
                    "'a'",
                    "\"\xff\"",
                    "\"\xed\xa0\x80\"",
                    "01",
                    "+1",
                    ".5",
                    "5.",
                    "\xef\xbb\xbf{}",
                    "nan",
                    "-NaN",
                    "[NaN",
                    "NaN1",
                    "[NaN,]",
                    "{NaN: 1}",
                    "{\"a\" NaN}",
                    "[NaN 1]",
                    "[NaN}",
                    "{\"a\": NaN,}",
                    "Inf",
                    "\"\\ud8\"",
                    "\"\\ud80g\"",
                    "[NaN, \"\n\"]",
                    "[NaN, \"\\x\"]",
                    "[NaN, 1.]",
                    "[NaN, 1e]",
                    "[NaN, -]",
                    "[NaN, \"\xff\"]",
                    "[NaN, \"",
                    "[NaN, \"\\"}) {
    auto x = json::parse(text);
    CAF_REQUIRE(!x);
    CAF_CHECK(code_of(x.error()) == ec::malformed_json);
  }
}

CAF_TEST(depth is limited) {
  CAF_CHECK_EQUAL(problem("[[[]]]", 3), "none");
  CAF_CHECK_EQUAL(problem("[[[]]]", 2),
                  "limit_exceeded: offset 2: more than 2 nested arrays and objects");
  CAF_CHECK_EQUAL(problem(std::string(1'000'000, '[')),
                  "limit_exceeded: offset 32: more than 32 nested arrays and objects");
  CAF_CHECK_EQUAL(problem("[[NaN]]", 2), "none");
  CAF_CHECK(problem("[NaN, [[]]]", 2) != "none");
  CAF_CHECK(problem("[NaN, " + std::string(1'000'000, '[')) != "none");
}
