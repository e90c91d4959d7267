#pragma once

#include <string>
#include <utility>

#include "support/center_fixture.hpp"

/// For suites: include it behind `#define CAF_SUITE`.
namespace actors::testing {

/// A user of the broker with a vhost of their own, whom a test may harm.
struct broker_account {
  /// One call each, as rabbitmqctl takes its time.
  explicit broker_account(std::string its_password = "secret") : password(std::move(its_password)) {
    evaluate("ok = rabbit_auth_backend_internal:add_user(Name, <<\"" + password
             + "\">>, By), ok = rabbit_vhost:add(Name, By), "
               "[ok = rabbit_auth_backend_internal:set_permissions(User, Name, <<\".*\">>, "
               "<<\".*\">>, <<\".*\">>, By) || User <- [Name, <<\"guest\">>]]");
  }

  ~broker_account() {
    evaluate("rabbit_vhost:delete(Name, By), rabbit_auth_backend_internal:delete_user(Name, By)");
  }

  broker_account(const broker_account&) = delete;
  broker_account& operator=(const broker_account&) = delete;

  /// What they may configure, write and read, as patterns of names.
  void permit(const std::string& configure, const std::string& write,
              const std::string& read) const {
    test_broker::ctl("set_permissions -p " + name + ' ' + name + " '" + configure + "' '" + write
                     + "' '" + read + "'");
  }

  void permit(const std::string& what) const {
    permit(what, what, what);
  }

  /// Has the broker look at the permissions again: it does when a channel does something for
  /// the first time.
  void close_connections() const {
    test_broker::ctl("close_all_connections --vhost " + name + " 'a test closes them'");
  }

  config settings(const std::string& url = test_broker::url()) const {
    auto result = settings_of_admin(url);
    result.endpoints[0].username = name;
    result.endpoints[0].password = amqp::secret{password};
    return result;
  }

  /// Of one who may do everything in the vhost.
  config settings_of_admin(const std::string& url = test_broker::url()) const {
    auto result = settings_for_tests(url);
    result.endpoints[0].vhost = name;
    return result;
  }

  std::string name = unique_name("account");
  std::string password;

private:
  void evaluate(const std::string& what) const {
    static_cast<void>(test_broker::folder().ask_ctl("eval 'Name = <<\"" + name
                                                    + "\">>, By = <<\"test\">>, " + what + ".'"));
  }
};

} // namespace actors::testing
