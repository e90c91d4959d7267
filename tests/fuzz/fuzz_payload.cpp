// No body may crash the decoder, and what was read must read the same once it
// is written.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <zlib.h>

#include "actors/event_type.hpp"
#include "wire/payload.hpp"

using namespace actors;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

template <class T>
void go_there_and_back(std::string_view data) {
  T x;
  if (from_json(data, x))
    return;
  auto text = data_of(x);
  T copy;
  require(!from_json(text, copy));
  require(copy == x);
}

void read_data(std::string_view data) {
  go_there_and_back<orderbook>(data);
  go_there_and_back<trade>(data);
  go_there_and_back<kline>(data);
  if (auto x = json::parse(data)) {
    require(x->text() == data);
    auto rewritten = json::parse(json{x->value()}.text());
    require(static_cast<bool>(rewritten));
  }
}

void open(payload_decoder& decoder, std::string_view body) {
  auto parts = decoder.decode(body);
  if (!parts)
    return;
  read_data(parts->data);
  std::string name{parts->name};
  std::string data{parts->data};
  auto was_checked = parts->checked;
  auto checked = decoder.check();
  require(checked || !was_checked);
  if (!checked)
    return;
  require(checked->checked);
  // What one look takes for the data is the data, or no JSON at all.
  if (was_checked || json::parse(data))
    require(checked->name == name && checked->data == data);
  require(static_cast<bool>(json::parse(checked->data)));
  payload_decoder other;
  auto again = other.decode(payload_encoder::of_this_thread().encode(checked->name, checked->data));
  require(again && again->name == checked->name && again->data == checked->data);
}

// The fuzzer cannot guess checksums, so that it also writes the text alone.
std::string deflated(std::string_view text) {
  auto size = compressBound(text.size());
  std::string result(size, '\0');
  compress2(reinterpret_cast<Bytef*>(result.data()), &size,
            reinterpret_cast<const Bytef*>(text.data()), text.size(), 1);
  result.resize(size);
  return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input{reinterpret_cast<const char*>(bytes), size};
  static payload_decoder decoder{{128 * 1024, 50, 16}};
  open(decoder, input);
  open(decoder, deflated(input));
  return 0;
}
