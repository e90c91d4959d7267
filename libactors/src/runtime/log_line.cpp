#include "runtime/log_line.hpp"

#include "runtime/repeated_log.hpp"

namespace actors {

void write(const log_line& x) {
  using kind_of_line = log_line::kind_of_line;
  if (x.how == kind_of_line::once)
    log(x.level, x.text);
  else if (x.how == kind_of_line::change)
    log_change(x.level, *x.about, x.kind, x.text);
  else if (x.about)
    log_repeated(x.level, x.kind, x.entity, x.text, *x.about);
  else
    log_repeated(x.level, x.kind, x.entity, x.text);
}

} // namespace actors
