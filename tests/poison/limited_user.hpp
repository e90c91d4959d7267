#pragma once

#include <memory>
#include <string>

#include "actors/amqp/endpoint.hpp"
#include "support/broker_folder.hpp"

namespace actors::poison {

/// What nobody may do but by these names is free: a queue or exchange whose name holds one
/// of them may not be configured, written to or read.
inline constexpr const char* no_configure = "no-configure";
inline constexpr const char* no_write = "no-write";
inline constexpr const char* no_read = "no-read";

/// A topic exchange; routing keys that begin with these words are denied.
inline constexpr const char* guarded_topics = "PoisonTopics";
inline constexpr const char* no_topic = "no-topic";

/// A user of a throw-away RabbitMQ with these rights, until it goes.
class limited_user {
public:
  explicit limited_user(testing::broker_folder where);

  ~limited_user();

  limited_user(const limited_user&) = delete;
  limited_user& operator=(const limited_user&) = delete;

  /// Logs in there as this one.
  amqp::endpoint login(amqp::endpoint where) const;

private:
  testing::broker_folder where_;
  std::string name_;
};

/// On the broker in the folder that ACTORS_TEST_BROKER_DIR names, if this is its URL.
std::unique_ptr<limited_user> limited_user_of(const std::string& url);

} // namespace actors::poison
