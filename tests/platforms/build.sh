#!/bin/sh
# build.sh CMAKE ROOT FOLDER ZIG TARGET OPTION…: builds for a target of zig's.
set -eu
cmake=$1 root=$2 folder=$3 zig=$4 target=$5
shift 5
unset CC CXX CMAKE_C_COMPILER_LAUNCHER
"$cmake" -G Ninja -S "$root" -B "$folder" -DCMAKE_TOOLCHAIN_FILE="$root/cmake/zig.cmake" -DZIG_EXECUTABLE="$zig" \
    -DZIG_TARGET="$target" -DCMAKE_BUILD_TYPE=Release -DDCNV4_WERROR=ON -DDCNV4_TESTS=OFF -DDCNV4_TOOLS=OFF \
    -DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON "$@"
"$cmake" --build "$folder"
