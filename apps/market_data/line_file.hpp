#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

namespace market_data {

/// The lines of a text file, plain or compressed with gzip.
class line_file {
public:
  /// Error: `ec::invalid_argument`, naming the file and why.
  static caf::expected<line_file> open(const std::string& path);

  ~line_file();

  line_file(line_file&&) noexcept;
  line_file& operator=(line_file&&) noexcept;

  /// Reads the next line without its end; `out` is valid until the next call.
  /// False at the end of the file. Error: the file cannot be read any further.
  caf::expected<bool> next(std::string_view& out);

  /// The number of the last line, from 1.
  std::uint64_t line_number() const noexcept;

  /// How much of the file has been read, from 0 to 1.
  double progress() const noexcept;

  const std::string& path() const noexcept;

private:
  struct impl;

  explicit line_file(std::unique_ptr<impl> x) noexcept;

  std::unique_ptr<impl> impl_;
};

} // namespace market_data
