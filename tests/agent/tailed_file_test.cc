#include "agent/tailed_file.h"

#include <boost/test/unit_test.hpp>

#include "agent/file_identity.h"
#include "flow/batch.h"
#include "tests/agent/temp_dir.h"

namespace tailrace {

namespace {
std::unique_ptr<TailedFile> tailed(const std::string& path) {
  auto place = find_log(path);
  BOOST_REQUIRE(place.ok());
  auto file = std::make_unique<TailedFile>(path, *identity_at(path), *place, 0);
  BOOST_REQUIRE(file->open().ok());
  return file;
}

// Reads and takes all of it.
std::string read_all(TailedFile& file, size_t room = 1 << 16) {
  std::string buffer(room, '\0');
  const TailedFile::Read r = file.read(buffer.data(), room);
  BOOST_REQUIRE(r.kind == TailedFile::Read::Kind::bytes);
  const auto taken = file.take(buffer.data(), r.n);
  BOOST_REQUIRE((taken.ok() && *taken == TailedFile::Proof::intact));
  return buffer.substr(0, r.n);
}
TailedFile::Read peek(TailedFile& file) {
  std::string buffer(1 << 16, '\0');
  return file.read(buffer.data(), buffer.size());
}
bool changed(TailedFile& file) { return peek(file).kind == TailedFile::Read::Kind::changed; }
}  // namespace

BOOST_AUTO_TEST_SUITE(tailed_file)

BOOST_AUTO_TEST_CASE(positions_prove_themselves) {
  const TempDir dir;
  std::string text;
  for (int i = 0; i < 500; ++i) text += "line " + std::to_string(i) + "\n";
  const auto path = dir.write("a", text);
  for (const size_t room : {1u, 5u, 15u, 16u, 17u, 1000u, 1024u, 1025u, 5000u}) {
    auto file = tailed(path);
    std::string got;
    while (got.size() < text.size()) {
      got += read_all(*file, room);
      const FilePosition p = file->position();
      BOOST_REQUIRE_EQUAL(p.offset, got.size());
      BOOST_REQUIRE_EQUAL(p.head_hash, source_hash(std::string_view(got).substr(0, 1024)));
      const size_t tail = std::min<size_t>(got.size(), 16);
      BOOST_REQUIRE_EQUAL(p.tail_hash,
                          source_hash(std::string_view(got).substr(got.size() - tail)));
    }
    BOOST_TEST(got == text);
    BOOST_TEST(peek(*file).at_end);
    BOOST_TEST(peek(*file).after_newline);
  }
}

// What a Local says behind lines that were lost with its spool: an offset without hashes.
BOOST_AUTO_TEST_CASE(an_unproven_position_is_believed_once) {
  const TempDir dir;
  const auto path = dir.write("a", std::string(3000, 'x') + "\nmore\n");
  auto file = tailed(path);
  file->place({3001, 0, 0}, 1, 0);
  BOOST_TEST(read_all(*file) == "more\n");
  dir.append("a", "and more\n");
  BOOST_TEST(read_all(*file) == "and more\n");
  BOOST_TEST(file->position().head_hash == source_hash(std::string(1024, 'x')));
  dir.write("a", std::string(5000, 'y'));
  BOOST_TEST(changed(*file));
  auto shorter = tailed(dir.write("b", "short\n"));
  shorter->place({3001, 0, 0}, 1, 0);
  BOOST_TEST(changed(*shorter));
}

BOOST_AUTO_TEST_CASE(truncated_and_written_anew) {
  const TempDir dir;
  const auto path = dir.write("a", "one\ntwo\nthree\n");
  auto file = tailed(path);
  BOOST_TEST(read_all(*file) == "one\ntwo\nthree\n");
  dir.write("a", "new\n");  // shorter
  BOOST_TEST(changed(*file));
  file->start_over();
  BOOST_TEST(file->generation() == 1u);
  BOOST_TEST(read_all(*file) == "new\n");
  dir.write("a", "other, and longer than before\n");
  BOOST_TEST(changed(*file));
  file->start_over();
  BOOST_TEST(read_all(*file) == "other, and longer than before\n");
  dir.append("a", "more\n");
  BOOST_TEST(read_all(*file) == "more\n");
}

BOOST_AUTO_TEST_CASE(only_the_head_changed) {
  const TempDir dir;
  std::string text(5000, 'x');
  const auto path = dir.write("a", text);
  auto file = tailed(path);
  read_all(*file);
  text[3] = 'y';
  text += "more";
  dir.write("a", text);  // the 16 bytes before the position are equal
  BOOST_TEST(changed(*file));
}

// A disk that fails for a moment says nothing about what stands there. (A descriptor that is only
// for writing is one that cannot be read.)
BOOST_AUTO_TEST_CASE(what_cannot_be_read_has_not_changed) {
  const TempDir dir;
  const auto path = dir.write("a", std::string(2000, 'x') + "\nmore\n");
  const auto break_it = [&path](TailedFile& file) { file.adopt(*open_file(path, O_WRONLY)); };
  const auto mend_it = [&path](TailedFile& file) { file.adopt(*open_file(path, O_RDONLY)); };
  for (const FilePosition at : {FilePosition{}, FilePosition{2001, 0, 0}}) {
    auto file = tailed(path);
    file->place(at, 1, 0);
    if (at.offset == 0) read_all(*file, 2001);
    break_it(*file);
    const FilePosition before = file->position();
    const TailedFile::Read r = peek(*file);
    BOOST_TEST((r.kind == TailedFile::Read::Kind::failed));
    BOOST_TEST(!r.why.empty());
    BOOST_TEST((file->position() == before));
    mend_it(*file);
    BOOST_TEST(read_all(*file) == "more\n");
  }
  auto file = tailed(path);
  BOOST_TEST(read_all(*file, 10) == std::string(10, 'x'));
  std::string bytes(5, '\0');
  BOOST_REQUIRE(file->read(bytes.data(), 5).n == 5u);
  break_it(*file);
  BOOST_TEST(!file->take(bytes.data(), 5).ok());
  BOOST_TEST(file->position().offset == 10u);
  mend_it(*file);
  BOOST_TEST(read_all(*file).size() == 1996u);
}

BOOST_AUTO_TEST_CASE(limits_and_unterminated_ends) {
  const TempDir dir;
  const auto path = dir.write("a", "one\ntwo");
  auto file = tailed(path);
  file->limit_to(file->size());
  dir.append("a", " and more\n");
  BOOST_TEST(read_all(*file) == "one\ntwo");
  BOOST_TEST(file->unread() == 0u);
  file->limit_to(UINT64_MAX);
  const TailedFile::Read r = peek(*file);
  BOOST_TEST(!r.after_newline);
  BOOST_TEST(r.n == 10u);
}

BOOST_AUTO_TEST_CASE(another_file_under_its_name_is_not_opened) {
  const TempDir dir;
  const auto path = dir.write("a", "one\n");
  auto file = tailed(path);
  file->close();
  dir.rename("a", "b");
  dir.write("a", "one\n");
  BOOST_CHECK(file->open().error().kind == Error::Kind::closed);
}

BOOST_AUTO_TEST_CASE(who_may_still_write) {
  const TempDir dir;
  const auto path = dir.write("a", "one\n");
  auto file = tailed(path);
  using Writers = TailedFile::Writers;
  const Writers before = file->writers();  // needs the owner's rights or CAP_LEASE
  const bool told = before != Writers::not_told;
  BOOST_TEST((before == (told ? Writers::none : Writers::not_told)));
  {
    const auto writer = open_file(path, O_WRONLY | O_APPEND);
    BOOST_TEST((file->writers() == (told ? Writers::some : Writers::not_told)));
  }
  BOOST_TEST((file->writers() == before));
  const auto writer = open_file(path, O_WRONLY | O_APPEND);  // the lease was given back: no waiting
  BOOST_TEST(writer.ok());
}

BOOST_AUTO_TEST_CASE(age_of_the_oldest_unread_byte) {
  const TempDir dir;
  const auto path = dir.write("a", "0123456789");
  auto file = tailed(path);
  file->note_unread(1000);
  BOOST_TEST(file->notes.unread_ms == 1000);
  dir.append("a", "0123456789");
  (void)file->observe();
  file->note_unread(2000);
  BOOST_TEST(file->notes.unread_ms == 1000);
  read_all(*file, 5);
  file->note_unread(3000);
  BOOST_TEST(file->notes.unread_ms == 1000);
  read_all(*file, 7);  // only bytes that came at 2000 are left
  file->note_unread(4000);
  BOOST_TEST(file->notes.unread_ms == 2000);
  read_all(*file);
  file->note_unread(5000);
  BOOST_TEST(file->notes.unread_ms == -1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
