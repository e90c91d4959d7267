// No URL may crash the parser; no text that it leads to may hold credentials;
// and what an endpoint is shown as leads to the same place.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "actors/amqp/endpoint.hpp"
#include "actors/error.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

// Errors do not quote the URL, so that no mark put into it is found in them.
void check_refusal(std::string_view url, const caf::error& error) {
  constexpr std::string_view mark = "hush";
  require(code_of(error) == ec::invalid_endpoint);
  auto text = text_of(error);
  require(!text.empty());
  if (url.find(mark) != std::string_view::npos)
    require(text.find(mark) == std::string::npos);
}

// One text whoever logs in: so it says nothing about who does.
void check_secrecy(const endpoint& x) {
  auto somebody_else = x;
  somebody_else.username = "another user";
  somebody_else.password = secret{"another password"};
  require(to_string(somebody_else) == to_string(x));
}

void check_text(const endpoint& x) {
  auto text = to_string(x);
  for (auto c : text)
    require(c > ' ' && c < '\x7f'); // it goes into log lines
  auto again = parse_endpoint(text, x);
  require(again && *again == x);
}

void check_accepted(const endpoint& x) {
  require(!check(x));
  require(x.scheme == scheme::memory || (!x.host.empty() && x.port != 0));
  for (auto& text : {x.host, x.vhost, x.username, x.password.reveal(), x.tls.server_name})
    require(text.find('\0') == std::string::npos);
  check_secrecy(x);
  check_text(x);
}

void read(std::string_view url, const endpoint& defaults) {
  if (auto x = parse_endpoint(url, defaults))
    check_accepted(*x);
  else
    check_refusal(url, x.error());
}

endpoint configured() {
  endpoint result;
  result.username = "configured user";
  result.password = secret{"configured password"};
  result.tls.cacertfile = "/ca.pem";
  return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input{reinterpret_cast<const char*>(bytes), size};
  read(input, {});
  read(input, configured());
  return 0;
}
