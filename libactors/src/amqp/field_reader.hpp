#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/amqp/topology.hpp"

/// AMQP's fields as bytes. rabbitmq-c reads none that arrive, as it descends into nested
/// tables without limit.
namespace actors::amqp {

/// Reads AMQP's primitive types one after the other. After an error all values
/// are empty.
class field_reader {
public:
  explicit field_reader(std::string_view input) : input_(input) {
    // nop
  }

  bool ok() const noexcept {
    return ok_;
  }

  /// Whether all of it was read.
  bool done() const noexcept {
    return ok_ && input_.empty();
  }

  template <class Unsigned>
  Unsigned number() {
    Unsigned result = 0;
    for (auto c : bytes(sizeof(Unsigned)))
      result = static_cast<Unsigned>((std::uint64_t{result} << 8) | static_cast<unsigned char>(c));
    return result;
  }

  std::string_view bytes(std::size_t size);

  std::string_view short_string() {
    return bytes(number<std::uint8_t>());
  }

  std::string_view long_string() {
    return bytes(number<std::uint32_t>());
  }

  /// Reads a field table with its size.
  field_table table();

  /// Reads what is left as the fields of a table.
  field_table fields();

  /// Reads what is left as the values of a list.
  std::vector<field_value> values();

  /// Reads a value's type and skips it: the type and its bytes.
  std::pair<char, std::string_view> next_raw();

private:
  field_value value();

  /// The bytes of a value of that type.
  std::string_view raw(char kind);

  std::string_view input_;
  bool ok_ = true;
};

/// Whether the bytes are a value of that type, tables and lists in it included.
bool is_well_formed(const opaque_value& x);

} // namespace actors::amqp
