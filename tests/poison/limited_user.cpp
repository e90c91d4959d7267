#include "poison/limited_user.hpp"

#include <cstdlib>
#include <random>
#include <utility>

namespace actors::poison {

namespace {

/// A pattern of RabbitMQ's for all names without this text.
std::string all_without(const std::string& text) {
  return " '^(?!.*" + text + ").*$'";
}

} // namespace

limited_user::limited_user(testing::broker_folder where)
    : where_(std::move(where)), name_("poison-" + std::to_string(std::random_device{}())) {
  where_.ctl("add_user " + name_ + " secret");
  where_.ctl("set_permissions " + name_ + all_without(no_configure) + all_without(no_write)
             + all_without(no_read));
  where_.declare_durable_exchange(guarded_topics);
  where_.ctl("set_topic_permissions " + name_ + ' ' + guarded_topics + all_without(no_topic)
             + all_without(no_topic));
}

limited_user::~limited_user() {
  try {
    where_.ctl("delete_user " + name_);
    where_.delete_exchange(guarded_topics);
  } catch (const std::exception&) {
    // The broker is a throw-away.
  }
}

amqp::endpoint limited_user::login(amqp::endpoint where) const {
  where.username = name_;
  where.password = amqp::secret{"secret"};
  return where;
}

std::unique_ptr<limited_user> limited_user_of(const std::string& url) {
  const auto* folder = std::getenv("ACTORS_TEST_BROKER_DIR");
  if (url.empty() || folder == nullptr)
    return nullptr;
  testing::broker_folder where{folder};
  return where.url() == url ? std::make_unique<limited_user>(std::move(where)) : nullptr;
}

} // namespace actors::poison
