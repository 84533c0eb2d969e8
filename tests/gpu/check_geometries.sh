#!/bin/sh
# check_geometries.sh PRINT_GEOMETRIES FILE: the kernels' default geometries are those in FILE.
set -u
if ! "$1" | diff "$2" -; then
    echo "where that is meant: $1 > $2"
    exit 1
fi
