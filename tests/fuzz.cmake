# libFuzzer over every decoder that a stranger's bytes reach, for a few seconds each; its program is built by clang in
# build/fuzz (./dev test does that). What it starts from are the formats' golden files.
set(fuzz ${CMAKE_SOURCE_DIR}/build/fuzz/bin/tailrace_fuzz)
set(limits -timeout=10 -rss_limit_mb=1024 -max_len=65536)
foreach(target frame batch_head message spool journal commit_record claim manifest announcement sink_identity names member settings
    gzip zstd snappy sequence_file http webhdfs kafka kafka_lines)
  set(made ${CMAKE_BINARY_DIR}/fuzz/${target})
  file(MAKE_DIRECTORY ${made})
  set(corpus ${made} ${CMAKE_SOURCE_DIR}/tests/golden ${CMAKE_SOURCE_DIR}/conf)
  add_test(NAME fuzz.${target} COMMAND ${fuzz} -max_total_time=5 ${limits} -artifact_prefix=${made}- ${corpus})
  add_test(NAME long.fuzz.${target} CONFIGURATIONS Long
    COMMAND ${fuzz} -runs=10000000 ${limits} -artifact_prefix=${made}- ${corpus})
  set_tests_properties(fuzz.${target} PROPERTIES TIMEOUT 120 LABELS fuzz ENVIRONMENT TAILRACE_FUZZ=${target})
  set_tests_properties(long.fuzz.${target} PROPERTIES TIMEOUT 14400 LABELS "fuzz;long" ENVIRONMENT TAILRACE_FUZZ=${target})
endforeach()
