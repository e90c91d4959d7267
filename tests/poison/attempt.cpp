#include "poison/attempt.hpp"

#include <condition_variable>
#include <mutex>

#include <caf/send.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/error.hpp"
#include "center/messages.hpp"

namespace actors::poison {

class attempt::answers {
public:
  explicit answers(answer expected) : expected_(expected) {
    // nop
  }

  void expect(std::size_t count) {
    std::lock_guard guard{mutex_};
    open_ += count;
  }

  void take(const caf::error& reason) {
    std::lock_guard guard{mutex_};
    if (open_ > 0)
      --open_;
    const auto is_refused = static_cast<bool>(reason);
    // All at once find no room where the broker allows few consumers.
    const auto finds_no_room = text_of(reason).find("no room for one more") != std::string::npos;
    if (expected_ != answer::any && !finds_no_room && is_refused != (expected_ == answer::refused)
        && surprises_.size() < 2)
      surprises_.push_back(is_refused ? "refused: " + text_of(reason) : "granted");
    if (is_refused && text_of(reason).empty())
      surprises_.emplace_back("refused without a word");
    changed_.notify_all();
  }

  std::vector<std::string> wait(std::chrono::milliseconds limit) {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, limit, [&] { return open_ == 0; });
    auto result = std::exchange(surprises_, {});
    if (open_ > 0)
      result.push_back(std::to_string(open_) + " unanswered");
    return result;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  answer expected_;
  std::size_t open_ = 0;
  std::vector<std::string> surprises_;
};

attempt::attempt(stage& where, std::string tag, answer expected)
    : stage_(where), tag_(std::move(tag)), answers_(std::make_shared<answers>(expected)) {
  // nop
}

attempt::~attempt() {
  ended_.set_value();
  for (auto fd : sockets_)
    ::close(fd);
  for (auto& x : actors_)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  if (!peer_ && queues_.empty())
    return;
  // Not over the link that may have been ended.
  peer janitor{stage_.broker()};
  for (auto& x : queues_)
    for (auto suffix : {"", ".dead"})
      janitor.ask(amqp::delete_queue{x + suffix});
}

std::string attempt::name(const std::string& text) {
  auto result = tag_ + '-' + text;
  if (std::find(queues_.begin(), queues_.end(), result) == queues_.end())
    queues_.push_back(result);
  return result;
}

namespace {

caf::behavior bad_strategy(caf::event_based_actor* self, const event_center& center,
                           subscription what, const handler& act,
                           const std::function<void(const caf::error&)>& answered) {
  // What it does not know, e.g. the messages of a link, is not its affair.
  self->set_default_handler(caf::drop);
  center.subscribe(self, std::move(what))
      .then([=](const subscribed&) { answered({}); },
            [=](const caf::error& err) { answered(err); });
  return {
      [=](const event& x) -> caf::result<void> { return act ? act(self, x) : caf::unit; },
  };
}

caf::behavior bad_publisher(caf::event_based_actor* self, const event_center& center,
                            const event& x, const publish_options& options, std::size_t times,
                            const std::function<void(const caf::error&)>& answered) {
  for (std::size_t i = 0; i < times; ++i)
    center.publish(self, x, options)
        .then([=](const published&) { answered({}); },
              [=](const caf::error& err) { answered(err); });
  return {[](stop_atom) {}};
}

} // namespace

caf::actor attempt::subscribe(subscription what, handler act) {
  actors_.push_back(stage_.system().spawn(bad_strategy, center(), std::move(what), std::move(act),
                                          expect_answer()));
  return actors_.back();
}

caf::actor attempt::subscribe_apart(subscription what, handler act) {
  actors_.push_back(stage_.system().spawn<caf::detached>(bad_strategy, center(), std::move(what),
                                                         std::move(act), expect_answer()));
  return actors_.back();
}

void attempt::keep(caf::actor x) {
  actors_.push_back(std::move(x));
}

std::function<void(const caf::error&)> attempt::expect_answer() {
  answers_->expect(1);
  return [to = answers_](const caf::error& reason) { to->take(reason); };
}

void attempt::publish(event x, publish_options options, std::size_t times) {
  answers_->expect(times - 1);
  actors_.push_back(stage_.system().spawn(bad_publisher, center(), std::move(x), std::move(options),
                                          times, expect_answer()));
}

peer& attempt::other() {
  if (!peer_)
    peer_ = std::make_unique<peer>(stage_.broker());
  return *peer_;
}

int attempt::connect() {
  const auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(stage_.relay_port());
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof(where)) == 0)
    sockets_.push_back(fd);
  else
    ::close(fd);
  return fd;
}

void attempt::connect_and_say(const std::string& bytes) {
  const auto fd = connect();
  static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

std::vector<std::string> attempt::answers_within(std::chrono::milliseconds limit) {
  return answers_->wait(limit);
}

} // namespace actors::poison
