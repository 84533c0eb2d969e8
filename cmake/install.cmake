# The install rules, in three components, which are also the Debian packages: library; development (headers, CMake package,
# pkg-config file); command, with its manual page.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS dcnv4 EXPORT dcnv4Targets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET dcnv4_probe)
  install(TARGETS dcnv4_probe RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library)
endif()
if(TARGET dcnv4_command)
  file(RELATIVE_PATH dcnv4_bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(dcnv4_command PROPERTIES INSTALL_RPATH "${dcnv4_origin}/${dcnv4_bin_to_lib}")
  install(TARGETS dcnv4_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
endif()
if(TARGET dcnv4_man)
  install(FILES ${PROJECT_BINARY_DIR}/dcnv4.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/dcnv4 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT library)
if(TARGET dcnv4_onnxruntime)
  install(TARGETS dcnv4_onnxruntime
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  install(FILES ${PROJECT_SOURCE_DIR}/bindings/onnxruntime/dcnv4_onnxruntime.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dcnv4 COMPONENT development)
endif()
if(TARGET dcnv4_libtorch)
  install(TARGETS dcnv4_libtorch LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  install(FILES ${PROJECT_SOURCE_DIR}/bindings/libtorch/dcnv4_libtorch.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dcnv4 COMPONENT development)
endif()

# ---- The CMake package: find_package(dcnv4 CONFIG) gives dcnv4::dcnv4 ----

get_target_property(dcnv4_type dcnv4 TYPE)
set(dcnv4_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/dcnv4)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/dcnv4Config.cmake.in
  ${PROJECT_BINARY_DIR}/cmake/dcnv4Config.cmake INSTALL_DESTINATION ${dcnv4_package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/dcnv4ConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT dcnv4Targets NAMESPACE dcnv4:: DESTINATION ${dcnv4_package_dir} COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/cmake/dcnv4Config.cmake ${PROJECT_BINARY_DIR}/cmake/dcnv4ConfigVersion.cmake
  DESTINATION ${dcnv4_package_dir} COMPONENT development)

# ---- pkg-config: dcnv4 ----

# Paths are relative to the file's own folder, so that an installation can be moved, unless a folder is absolute.
set(dcnv4_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(dcnv4_pc_prefix "${CMAKE_INSTALL_PREFIX}")
if(NOT IS_ABSOLUTE "${dcnv4_pc_dir}")
  string(REGEX REPLACE "[^/]+" ".." dcnv4_pc_prefix "${dcnv4_pc_dir}")
  string(PREPEND dcnv4_pc_prefix "\${pcfiledir}/")
endif()
foreach(folder INCLUDEDIR LIBDIR)
  set(dcnv4_pc_${folder} "${CMAKE_INSTALL_${folder}}")
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_${folder}}")
    string(PREPEND dcnv4_pc_${folder} "\${prefix}/")
  endif()
endforeach()
# The libraries that dcnv4 itself links: pkg-config gives them with --static, and always if there is no shared library.
set(dcnv4_pc_system "-lpthread")
foreach(name IN LISTS CMAKE_DL_LIBS)
  string(APPEND dcnv4_pc_system " -l${name}")
endforeach()
if(UNIX)
  string(PREPEND dcnv4_pc_system "-lm ")
endif()
set(dcnv4_pc_libs "")
set(dcnv4_pc_cflags "")
if(dcnv4_type STREQUAL "STATIC_LIBRARY")
  set(dcnv4_pc_libs " ${dcnv4_pc_system}")
  set(dcnv4_pc_cflags " -DDCNV4_STATIC")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/dcnv4.pc.in ${PROJECT_BINARY_DIR}/cmake/dcnv4.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/dcnv4.pc DESTINATION ${dcnv4_pc_dir} COMPONENT development)
