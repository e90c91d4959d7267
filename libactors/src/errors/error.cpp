#include "actors/error.hpp"

#include <caf/atom.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace actors {

namespace {

constexpr auto category = caf::atom("actors");

bool ours(const caf::error& x) noexcept {
  return x && x.category() == category;
}

} // namespace

caf::error make_error(ec code, std::string text) {
  if (code == ec::none)
    return {};
  return {static_cast<std::uint8_t>(code), category, caf::make_message(std::move(text))};
}

caf::error make_error(failure x) {
  return make_error(x.code, std::move(x.text));
}

ec code_of(const caf::error& x) noexcept {
  return ours(x) ? static_cast<ec>(x.code()) : ec::none;
}

std::string text_of(const caf::error& error) {
  const auto is_told =
      ours(error) || error == caf::sec::runtime_error; // CAF makes it of an exception
  if (is_told && error.context().match_elements<std::string>())
    return error.context().get_as<std::string>(0);
  if (error == caf::sec::request_timeout)
    return "no answer in time; what was asked for may still be done";
  return caf::to_string(error);
}

std::string text_of(const std::exception_ptr& x) {
  try {
    std::rethrow_exception(x);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

failure to_failure(const caf::error& x) {
  if (!x)
    return {};
  return {ours(x) ? code_of(x) : ec::handler_failed, text_of(x)};
}

} // namespace actors
