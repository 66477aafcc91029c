// Which files of a category are open, and in which order they will be read.
#include "center/category.h"

#include <boost/test/unit_test.hpp>

namespace tailrace {

BOOST_AUTO_TEST_SUITE(category_files)

BOOST_AUTO_TEST_CASE(a_codec_that_comes_back_would_put_later_lines_first) {
  Category files("nginx");
  const FileKey gzip{1'000, Codec::gzip};
  const FileKey zstd{1'000, Codec::zstd};
  const FileKey other_directory{2'000, Codec::gzip};
  OpenFile file;
  for (const FileKey& key : {gzip, zstd, other_directory}) {
    ++file.id;
    file.key = key;
    files.open(file);
  }
  BOOST_TEST(files.out_of_order(gzip, 2));
  BOOST_TEST(!files.out_of_order(gzip, 0));  // its first lines
  BOOST_TEST(!files.out_of_order(gzip, 1));
  BOOST_TEST(!files.out_of_order(zstd, 1));
  BOOST_TEST(!files.out_of_order(gzip, 3));                  // read by directory
  BOOST_TEST(!files.out_of_order({1'000, Codec::none}, 2));  // it will be a new file
  files.close(1'000);
  BOOST_TEST(!files.out_of_order(gzip, 2));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
