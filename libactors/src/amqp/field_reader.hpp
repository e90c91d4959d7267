#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/amqp/topology.hpp"

/// The decoder of AMQP's fields. Incoming fields bypass rabbitmq-c, which descends into nested
/// tables without limit.
namespace actors::amqp {

/// Reads AMQP's primitive types one after the other. All values are empty after an error.
class field_reader {
public:
  explicit field_reader(std::string_view input) : input_(input) {
    // nop
  }

  bool ok() const noexcept {
    return ok_;
  }

  /// Whether the whole input was read, without an error.
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

  /// Reads a field table, its leading size included.
  field_table table();

  /// Reads the rest of the input as the fields of a table.
  field_table fields();

  /// Reads the rest of the input as the values of a list.
  std::vector<field_value> values();

  /// Skips one value; returns its type and its bytes.
  std::pair<char, std::string_view> next_raw();

private:
  field_value value();

  /// Returns the bytes of a value of type `kind`.
  std::string_view raw(char kind);

  std::string_view input_;
  bool ok_ = true;
};

/// Whether the bytes are a valid value of the stated type, nested tables and lists included.
bool is_well_formed(const opaque_value& nested);

} // namespace actors::amqp
