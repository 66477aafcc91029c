# ZooKeeper's C client with threads (libzookeeper-mt-dev), which brings neither a .pc nor a CMake file: ZooKeeper::mt.
find_path(ZOOKEEPER_INCLUDE zookeeper/zookeeper.h)
find_library(ZOOKEEPER_LIBRARY zookeeper_mt)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ZooKeeper REQUIRED_VARS ZOOKEEPER_LIBRARY ZOOKEEPER_INCLUDE)
if(ZooKeeper_FOUND AND NOT TARGET ZooKeeper::mt)
  add_library(ZooKeeper::mt UNKNOWN IMPORTED)
  set_target_properties(ZooKeeper::mt PROPERTIES IMPORTED_LOCATION ${ZOOKEEPER_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${ZOOKEEPER_INCLUDE}
    INTERFACE_COMPILE_DEFINITIONS THREADED)  # without it the header has another API
endif()
