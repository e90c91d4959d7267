#include "typed_strategy.hpp"

#include <caf/scoped_actor.hpp>

#include "run.hpp"

int main(int argc, char** argv) {
  return run(argc, argv, [](auto& system, auto& center, auto& stop) {
    fair_price_actor strategy = system.template spawn<fair_price>(center, "ETH/USDT");
    caf::scoped_actor self{system};
    while (!stop.wait_for(std::chrono::seconds{1}))
      self->request(strategy, std::chrono::seconds{1}, caf::get_atom_v)
          .receive([](double x) { std::cout << "fair price " << x << std::endl; },
                   [](const caf::error& err) { std::cout << actors::text_of(err) << std::endl; });
  });
}
