#include "amqp/field_writer.hpp"

#include <bit>

namespace actors::amqp {

namespace {

struct write_value {
  field_writer& to;

  void operator()(bool x) const {
    to.bytes("t");
    to.number(std::uint8_t{x});
  }

  void operator()(std::int64_t x) const {
    to.bytes("l");
    to.number(static_cast<std::uint64_t>(x));
  }

  void operator()(double x) const {
    to.bytes("d");
    to.number(std::bit_cast<std::uint64_t>(x));
  }

  void operator()(const std::string& x) const {
    to.bytes("S");
    to.long_string(x);
  }

  void operator()(const opaque_value& x) const {
    to.bytes({&x.kind, 1});
    to.bytes(x.bytes);
  }
};

} // namespace

void field_writer::field(std::string_view key, const field_value& x) {
  short_string(key);
  std::visit(write_value{*this}, x);
}

opaque_value as_opaque(const field_table& fields) {
  opaque_value result{'F', {}};
  field_writer{result.bytes}.table(fields);
  return result;
}

} // namespace actors::amqp
