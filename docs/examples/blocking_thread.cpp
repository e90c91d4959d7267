#include "blocking_thread.hpp"

#include <thread>

#include "run.hpp"

int main(int argc, char** argv) {
  return run(argc, argv, [](auto& system, auto& center, auto& stop) {
    std::jthread thread{[&](const std::stop_token& told) {
      caf::scoped_actor self{system};
      if (auto err = publish_spreads(told, self, center))
        std::cout << actors::text_of(err) << std::endl;
    }};
    stop.wait();
  });
}
