#include "risk_monitor.hpp"
#include "run.hpp"

int main(int argc, char** argv) {
  return run(argc, argv, [](auto& system, auto& center, auto& stop) {
    system.spawn(risk_monitor, center);
    stop.wait();
  });
}
