// Encoding and decoding, beside what zlib and the parser take alone.

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <benchmark/benchmark.h>
#include <boost/json/basic_parser_impl.hpp>
#include <zlib.h>

#include "actors/event_type.hpp"
#include "bare/book.hpp"
#include "bodies.hpp"
#include "micro/null_handler.hpp"
#include "wire/payload.hpp"

namespace {

using market_data::market_event;

const bench::bodies& events_of(const char* kind) {
  static std::map<std::string, bench::bodies> known;
  auto i = known.find(kind);
  if (i == known.end())
    i = known.emplace(kind, bench::make_bodies(kind)).first;
  return i->second;
}

// -- zlib alone ---------------------------------------------------------------------

Bytef* bytes(const char* x) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(x));
}

/// A stream and a buffer that are used again and again.
struct inflater {
  inflater() {
    inflateInit(&stream);
  }

  ~inflater() {
    inflateEnd(&stream);
  }

  std::string_view run(const std::string& body) {
    inflateReset(&stream);
    stream.next_in = bytes(body.data());
    stream.avail_in = static_cast<uInt>(body.size());
    stream.next_out = bytes(text);
    stream.avail_out = sizeof text;
    inflate(&stream, Z_FINISH);
    return {text, stream.total_out};
  }

  z_stream stream{};
  char text[64 * 1024];
};

struct deflater {
  deflater() {
    deflateInit(&stream, 6);
  }

  ~deflater() {
    deflateEnd(&stream);
  }

  std::size_t run(const std::string& text) {
    deflateReset(&stream);
    stream.next_in = bytes(text.data());
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = bytes(body);
    stream.avail_out = sizeof body;
    deflate(&stream, Z_FINISH);
    return stream.total_out;
  }

  z_stream stream{};
  char body[64 * 1024];
};

std::vector<std::string> texts_of(const bench::bodies& what) {
  inflater zlib;
  std::vector<std::string> result;
  for (auto& x : what.sealed)
    result.emplace_back(zlib.run(x));
  return result;
}

void inflate_alone(benchmark::State& state, const char* kind) {
  auto& what = events_of(kind);
  inflater zlib;
  std::size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(zlib.run(what.sealed[++i % what.sealed.size()]));
}

void deflate_alone(benchmark::State& state, const char* kind) {
  auto texts = texts_of(events_of(kind));
  deflater zlib;
  std::size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(zlib.run(texts[++i % texts.size()]));
}

// -- the parser alone ---------------------------------------------------------------

void parse_alone(benchmark::State& state, const char* kind) {
  auto texts = texts_of(events_of(kind));
  boost::json::basic_parser<null_handler> parser{boost::json::parse_options{}};
  std::size_t i = 0;
  for (auto _ : state) {
    auto& text = texts[++i % texts.size()];
    parser.reset();
    boost::json::error_code code;
    benchmark::DoNotOptimize(parser.write_some(false, text.data(), text.size(), code));
  }
}

// -- libactors ------------------------------------------------------------------------

actors::event_codec codec_for(const market_event& x) {
  if (std::holds_alternative<actors::trade>(x))
    return actors::codec_of<actors::trade>();
  if (std::holds_alternative<actors::kline>(x))
    return actors::codec_of<actors::kline>();
  return actors::codec_of<actors::orderbook>();
}

void decode(benchmark::State& state, const char* kind) {
  auto& what = events_of(kind);
  auto codec = codec_for(what.events.front());
  actors::payload_decoder decoder;
  std::size_t i = 0;
  for (auto _ : state) {
    auto parts = decoder.decode(what.sealed[++i % what.sealed.size()]);
    actors::received_event in;
    in.name = parts->name;
    in.data = parts->data;
    benchmark::DoNotOptimize(codec.decode(in));
  }
}

void encode(benchmark::State& state, const char* kind) {
  auto& what = events_of(kind);
  auto& encoder = actors::payload_encoder::of_this_thread();
  std::size_t i = 0;
  for (auto _ : state)
    std::visit(
        [&](auto& x) {
          using type = std::decay_t<decltype(x)>;
          if constexpr (!std::same_as<type, actors::event>)
            benchmark::DoNotOptimize(encoder.encode(type::event_name, actors::data_of(x)));
        },
        what.events[++i % what.events.size()]);
}

// -- the bare loop's own ----------------------------------------------------------------

void decode_bare(benchmark::State& state) {
  auto& what = events_of("book10");
  bare::book_reader reader;
  std::size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(reader.read(what.sealed[++i % what.sealed.size()]));
}

void encode_bare(benchmark::State& state) {
  std::vector<bare::book> books;
  for (auto& x : events_of("book10").events)
    books.push_back(bare::copy_of(std::get<actors::orderbook>(x)));
  bare::book_writer writer;
  std::size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(writer.write(books[++i % books.size()]));
}

#define FOR_EACH_KIND(function)                                                                    \
  BENCHMARK_CAPTURE(function, book10, "book10");                                                   \
  BENCHMARK_CAPTURE(function, book20, "book20");                                                   \
  BENCHMARK_CAPTURE(function, trade, "trade");                                                     \
  BENCHMARK_CAPTURE(function, kline, "kline")

FOR_EACH_KIND(decode);
FOR_EACH_KIND(inflate_alone);
FOR_EACH_KIND(parse_alone);
FOR_EACH_KIND(encode);
FOR_EACH_KIND(deflate_alone);
BENCHMARK(decode_bare);
BENCHMARK(encode_bare);

} // namespace
