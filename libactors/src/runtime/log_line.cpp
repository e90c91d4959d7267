#include "runtime/log_line.hpp"

#include "runtime/repeated_log.hpp"

namespace actors {

void write(const log_line& line) {
  using kind_of_line = log_line::kind_of_line;
  if (line.how == kind_of_line::once)
    log(line.level, line.text);
  else if (line.how == kind_of_line::change)
    log_change(line.level, *line.about, line.kind, line.text);
  else if (line.about)
    log_repeated(line.level, line.kind, line.entity, line.text, *line.about);
  else
    log_repeated(line.level, line.kind, line.entity, line.text);
}

} // namespace actors
