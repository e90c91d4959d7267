#include "center/spawn_center.hpp"

#include <algorithm>
#include <utility>

#include <caf/send.hpp>

#include "center/dispatcher.hpp"
#include "center/event_center_watch.hpp"

namespace actors {

center_actors spawn_center(caf::actor_system& system, const config& settings,
                           supervisor_settings links) {
  center_actors result;
  result.supervisor = system.spawn(supervisor, std::move(links));
  auto instance = settings.instance ? *settings.instance : unique_instance();
  dispatcher_settings queues{settings.server_id, std::move(instance), settings.payload};
  queues.feeds = std::all_of(settings.endpoints.begin(), settings.endpoints.end(),
                             [](const amqp::endpoint& x) { return is_relay(x.scheme); });
  result.dispatcher = system.spawn(dispatcher, std::move(queues), result.supervisor);
  watch_center(system, result.dispatcher, result.supervisor, settings.on_failure);
  caf::anon_send(result.supervisor, start_atom_v, result.dispatcher);
  return result;
}

} // namespace actors
