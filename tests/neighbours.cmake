# Against real servers on loopback: tests/neighbours/. Exit 77: none can be started here.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_executable(discovery_probe ${CMAKE_CURRENT_SOURCE_DIR}/neighbours/discovery_probe.cc)
target_link_libraries(discovery_probe PRIVATE tailrace_discovery)
add_executable(hdfs_conformance ${CMAKE_CURRENT_SOURCE_DIR}/main.cc ${CMAKE_CURRENT_SOURCE_DIR}/neighbours/hdfs_conformance.cc)
target_compile_definitions(hdfs_conformance PRIVATE BOOST_TEST_DYN_LINK)
target_link_libraries(hdfs_conformance PRIVATE tailrace_sinks Boost::unit_test_framework)

# neighbours(NAME seconds script arguments...)
function(neighbours name seconds script)
  add_test(NAME neighbours.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/neighbours/${script} ${ARGN})
  set_tests_properties(neighbours.${name} PROPERTIES TIMEOUT ${seconds} SKIP_RETURN_CODE 77 LABELS neighbours
    ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1;DISCOVERY_PROBE=$<TARGET_FILE:discovery_probe>;HDFS_CONFORMANCE=$<TARGET_FILE:hdfs_conformance>")
endfunction()

neighbours(hdfs_store 180 hdfs_store_test.py)

neighbours(zookeeper_sessions 180 zookeeper_test.py Sessions)
neighbours(zookeeper_rights 120 zookeeper_test.py Rights Sizes LookUps)
neighbours(zookeeper_ensemble 180 zookeeper_test.py Ensemble)
neighbours(zookeeper_tls 120 zookeeper_tls_test.py)
neighbours(maven_jars 60 maven_jars_test.py)
neighbours(hdfs_answers 180 hdfs_test.py OneNameNode)
neighbours(hdfs_outages 240 hdfs_test.py Outages TwoNameNodes)
neighbours(hdfs_full 120 hdfs_full_test.py)
neighbours(hdfs_kerberos 180 hdfs_security_test.py Guarded)
neighbours(hdfs_tls 120 hdfs_security_test.py Encrypted)
neighbours(hadoop_reader 300 hadoop_reader_test.py)
neighbours(http_faults 180 http_faults_test.py)
neighbours(kafka_judging 120 kafka_test.py Judging)
neighbours(kafka_transactions 120 kafka_test.py Transactions)
neighbours(kafka_outages 180 kafka_test.py Outages)
neighbours(kafka_brokers 240 kafka_test.py ThreeBrokers)
