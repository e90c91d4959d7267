#include "simulation/process.hpp"

#include <cstdio>
#include <utility>

#include <caf/abstract_actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "center/dispatcher.hpp"
#include "center/supervisor.hpp"

namespace actors::simulation {

process::process(caf::actor_system& system, process_settings settings)
    : system_(system), settings_(std::move(settings)) {
  // nop
}

void process::start(std::uint64_t epoch) {
  supervisor_settings links;
  links.config = settings_.config;
  links.epoch = epoch;
  links.start_connection = settings_.start_connection;
  take_unsent(links);
  supervisor_ = system_.spawn(actors::supervisor, std::move(links));
  dispatcher_settings queues;
  queues.server_id = settings_.config.server_id;
  dispatcher_ = system_.spawn(actors::dispatcher, queues, supervisor_);
  stopping_ = false;
  caf::anon_send(supervisor_, start_atom_v, dispatcher_);
}

void process::take_unsent(supervisor_settings& to) const {
  const auto& path = settings_.config.shutdown.unsent_file;
  if (path.empty())
    return;
  if (settings_.defect == defect::lost_file)
    std::remove(path.c_str());
  if (settings_.defect == defect::resent_file)
    std::remove((path + ".sent").c_str());
  if (auto file = unsent_file::open(path)) {
    to.unsent_file = std::move(*file);
    if (auto messages = to.unsent_file->read(std::chrono::system_clock::now()))
      to.unsent = std::move(messages->items);
  }
}

void process::stop(std::chrono::milliseconds limit) {
  if (std::exchange(stopping_, true))
    return;
  auto main = [=, to = supervisor_](caf::event_based_actor* self) {
    self->request(to, caf::infinite, stop_atom_v, static_cast<std::uint64_t>(limit.count()))
        .then([](const stopped&) {}, [](const caf::error&) {});
  };
  system_.spawn(main);
}

void process::kill() {
  for (auto& x : {dispatcher_, supervisor_})
    caf::anon_send_exit(x, caf::exit_reason::kill);
}

bool process::is_running() const {
  return is_alive(supervisor_) && is_alive(dispatcher_);
}

bool is_alive(const caf::actor& x) {
  return x
         && !caf::actor_cast<caf::abstract_actor*>(x)->getf(
             caf::abstract_actor::is_terminated_flag);
}

} // namespace actors::simulation
