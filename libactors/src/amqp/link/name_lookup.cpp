#include "amqp/link/name_lookup.hpp"

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>
#include <poll.h>
#include <pthread.h>

#include "runtime/signal_mask.hpp"

namespace actors::amqp {

namespace {

using clock = std::chrono::steady_clock;

/// A lookup that takes longer than this may never end, so the next request begins another one.
constexpr std::chrono::seconds longest_lookup{60};

resolution look_up(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* first = nullptr;
  const auto status = ::getaddrinfo(host.c_str(), nullptr, &hints, &first);
  if (status != 0)
    return {{}, status == EAI_SYSTEM ? error_text(errno) : ::gai_strerror(status)};
  resolution result;
  for (auto* info = first; info != nullptr; info = info->ai_next) {
    auto& to = result.addresses.emplace_back();
    to.size = info->ai_addrlen;
    std::memcpy(&to.bytes, info->ai_addr, info->ai_addrlen);
  }
  ::freeaddrinfo(first);
  return result;
}

} // namespace

resolution look_up(const std::string& host) {
  return look_up(host, AI_ADDRCONFIG);
}

// -- name_lookup ----------------------------------------------------------------------

struct name_lookup::question {
  clock::time_point since = clock::now();
  std::vector<std::shared_ptr<wake_up>> askers;
  std::optional<resolution> answer;
};

struct name_lookup::questions {
  std::mutex mutex;
  /// The questions without an answer, by name.
  std::map<std::string, std::shared_ptr<question>> items;

  void answer(const std::string& host, const std::shared_ptr<question>& to, resolution found) {
    std::lock_guard guard{mutex};
    to->answer = std::move(found);
    if (auto i = items.find(host); i != items.end() && i->second == to)
      items.erase(i);
    for (auto& asker : to->askers)
      asker->signal();
  }

  /// Removes an asker that has gone, so that it is not signalled.
  void forget(question& to, const std::shared_ptr<wake_up>& asker) {
    std::lock_guard guard{mutex};
    std::erase(to.askers, asker);
  }
};

name_lookup::name_lookup(function ask)
    : ask_(std::move(ask)), open_(std::make_shared<questions>()) {
  // nop
}

name_lookup& name_lookup::shared() {
  static name_lookup result;
  return result;
}

std::shared_ptr<name_lookup::question> name_lookup::ask(const std::string& host,
                                                        const std::shared_ptr<wake_up>& asker) {
  std::lock_guard guard{open_->mutex};
  auto& open = open_->items[host];
  if (!open || clock::now() - open->since > longest_lookup) {
    open = std::make_shared<question>();
    try {
      blocked_signals no_signals;
      std::thread thread{[open = open_, f = ask_, host, to = open] {
        ::pthread_setname_np(::pthread_self(), "amqp-lookup");
        open->answer(host, to, f(host));
      }};
      thread.detach();
    } catch (const std::system_error&) {
      open_->items.erase(host);
      return nullptr;
    }
  }
  open->askers.push_back(asker);
  return open;
}

resolution name_lookup::resolve(const std::string& host, clock::time_point limit,
                                const interruption& stop, int& error) {
  error = 0;
  // A numeric address needs no thread.
  if (auto result = look_up(host, AI_NUMERICHOST); !result.addresses.empty())
    return result;
  auto asker = std::make_shared<wake_up>();
  auto to = asker->ok() ? ask(host, asker) : nullptr;
  if (!to) {
    error = EAGAIN;
    return {{}, "no thread or file descriptor is left for it"};
  }
  error = await(asker->fd(), POLLIN, limit, stop);
  open_->forget(*to, asker);
  return error == 0 ? *to->answer : resolution{};
}

} // namespace actors::amqp
