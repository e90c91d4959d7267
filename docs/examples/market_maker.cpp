#include "market_maker.hpp"
#include "paper_gateway.hpp"
#include "run.hpp"

int main(int argc, char** argv) {
  return run(argc, argv, [](auto& system, auto& center, auto& stop) {
    system.spawn(paper_gateway, center);
    system.spawn(market_maker, center);
    stop.wait();
  });
}
