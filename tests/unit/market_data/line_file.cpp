#define CAF_SUITE market_data.line_file

#include "market_data/line_file.hpp"

#include <string>
#include <vector>

#include <zlib.h>

#include "actors/error.hpp"
#include "temporary_file.hpp"

#include "caf/test/dsl.hpp"

using market_data::line_file;

namespace {

std::vector<std::string> all_lines(line_file& file) {
  std::vector<std::string> result;
  for (;;) {
    std::string_view line;
    auto more = file.next(line);
    if (!more)
      result.push_back("error: " + actors::text_of(more.error()));
    if (!more || !*more)
      return result;
    result.emplace_back(line);
  }
}

std::vector<std::string> all_lines(const std::string& path) {
  auto file = line_file::open(path);
  CAF_REQUIRE(file);
  return all_lines(*file);
}

void write_gzip(const std::string& path, const std::string& text) {
  auto file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
}

} // namespace

CAF_TEST(lines end with a line feed or a carriage return and a line feed or the file) {
  using strings = std::vector<std::string>;
  CAF_CHECK(all_lines(temporary_file{"a\nbc\r\n\nd"}.path()) == (strings{"a", "bc", "", "d"}));
  CAF_CHECK(all_lines(temporary_file{"a\n"}.path()) == strings{"a"});
  CAF_CHECK(all_lines(temporary_file{}.path()).empty());
}

CAF_TEST(a gzip file reads like a plain one) {
  // More than one chunk, with a line longer than a chunk.
  std::string text;
  for (int i = 0; i < 20'000; ++i)
    text += "line " + std::to_string(i) + "\n";
  text += std::string(200'000, 'x') + "\nend\n";
  temporary_file plain{text};
  temporary_file packed;
  write_gzip(packed.path(), text);
  const auto lines = all_lines(packed.path());
  CAF_REQUIRE_EQUAL(lines.size(), 20'002u);
  CAF_CHECK_EQUAL(lines[12'345], "line 12345");
  CAF_CHECK_EQUAL(lines[20'000].size(), 200'000u);
  CAF_CHECK(lines == all_lines(plain.path()));
}

CAF_TEST(progress and line numbers grow up to the end) {
  temporary_file packed;
  write_gzip(packed.path(), std::string(300'000, '\n'));
  auto file = line_file::open(packed.path());
  CAF_REQUIRE(file);
  std::string_view line;
  CAF_REQUIRE(file->next(line));
  CAF_CHECK_EQUAL(file->line_number(), 1u);
  CAF_CHECK_EQUAL(all_lines(*file).size(), 299'999u);
  CAF_CHECK_EQUAL(file->line_number(), 300'000u);
  CAF_CHECK_EQUAL(file->progress(), 1.0);
}

CAF_TEST(a truncated gzip file ends in an error that names it) {
  temporary_file packed;
  std::string text;
  for (int i = 0; i < 50'000; ++i)
    text += std::to_string(i * 7919) + "\n";
  write_gzip(packed.path(), text);
  std::filesystem::resize_file(packed.path(), std::filesystem::file_size(packed.path()) / 2);
  const auto lines = all_lines(packed.path());
  CAF_REQUIRE(!lines.empty());
  CAF_CHECK(lines.size() > 1'000);
  CAF_CHECK(lines.back().starts_with("error: "));
  CAF_CHECK(lines.back().find(packed.path()) != std::string::npos);
}

CAF_TEST(what cannot be opened is an error that names it) {
  auto missing = line_file::open("/nowhere/at/all.txt");
  CAF_REQUIRE(!missing);
  CAF_CHECK(actors::code_of(missing.error()) == actors::ec::invalid_argument);
  CAF_CHECK_EQUAL(actors::text_of(missing.error()),
                  "cannot read the file '/nowhere/at/all.txt': No such file or directory");
  CAF_CHECK(!line_file::open("/"));
}
