# The judge of the benchmarks, on stand-ins.
add_test(NAME bench COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/bench_test.py)
# A small cluster, counted by the optimised program.
add_test(NAME scale COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/scale_test.py)
set_tests_properties(scale PROPERTIES SKIP_RETURN_CODE 77)
