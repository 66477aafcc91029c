# The judge of the benchmarks, on stand-ins.
add_test(NAME bench COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/bench_test.py)
