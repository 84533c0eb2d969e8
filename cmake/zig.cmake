# Cross-compiles with zig's clang, which comes with every platform's C library: for
#   ci/zig install
#   cmake -DCMAKE_TOOLCHAIN_FILE=cmake/zig.cmake -DZIG_TARGET=x86_64-windows-gnu
# Tried targets: x86_64-windows-gnu, aarch64-macos.11.0, x86_64-macos.11.0, aarch64-linux-gnu.2.17,
# x86_64-linux-gnu.2.17, x86_64-linux-musl. docs/platforms.md says what is built by it.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ZIG_TARGET ZIG_EXECUTABLE)
if(NOT ZIG_TARGET)
  message(FATAL_ERROR "ZIG_TARGET is not set, such as -DZIG_TARGET=x86_64-windows-gnu")
endif()
if(NOT ZIG_EXECUTABLE)
  execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/../ci/zig OUTPUT_VARIABLE ZIG_EXECUTABLE
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()

string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "${ZIG_TARGET}")
if(ZIG_TARGET MATCHES "windows")
  set(CMAKE_SYSTEM_NAME Windows)
elseif(ZIG_TARGET MATCHES "macos")
  set(CMAKE_SYSTEM_NAME Darwin)
else()
  set(CMAKE_SYSTEM_NAME Linux)
endif()
set(CMAKE_C_COMPILER ${ZIG_EXECUTABLE} cc -target ${ZIG_TARGET})
# zig builds a C library for optimised programs and another one for others, which takes minutes: CMake's tests use the
# first one too.
set(CMAKE_C_FLAGS_INIT -O2)
set(CMAKE_TRY_COMPILE_CONFIGURATION Release)
# The host's ar and ranlib make no archives of Mach-O files.
set(CMAKE_C_ARCHIVE_CREATE "\"${ZIG_EXECUTABLE}\" ar qc <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_C_ARCHIVE_APPEND "\"${ZIG_EXECUTABLE}\" ar q <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_C_ARCHIVE_FINISH "\"${ZIG_EXECUTABLE}\" ranlib <TARGET>")

# Libraries of the build machine are for the build machine.
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_FIND_ROOT_PATH ${CMAKE_CURRENT_LIST_DIR}/nothing)
