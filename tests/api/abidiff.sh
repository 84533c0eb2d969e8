#!/bin/sh
# The binary interface beside that of the last release, which dcnv4.abi holds, by libabigail (Debian: abigail-tools).
#   abidiff.sh check ROOT   fails if a program that was built with the last release could not use the library of the tree ROOT
#   abidiff.sh exact ROOT   fails if there is any difference, additions too
#   abidiff.sh store ROOT   writes dcnv4.abi from ROOT
# CC is a C compiler for x86-64 Linux, whose interface is the one that is held.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
how=$1
cd "$2" # names of files are in the result
stored=$here/dcnv4.abi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

number() {
    sed -nE "s/^#define DCNV4_VERSION_$1 ([0-9]+)$/\1/p" include/dcnv4/runtime.h
}
soname=libdcnv4.so.$(number MAJOR).$(number MINOR)

# Functions take enums as int32_t, so an exported object of each shows their constants.
sed -nE 's/^typedef enum (dcnv4_[a-z_]+) .*/DCNV4_API extern \1 constants_of_\1; \1 constants_of_\1;/p' \
    include/dcnv4/*.h >"$work/enums"
[ "$(wc -l <"$work/enums")" -ge 7 ] || { echo "abidiff.sh: does not find the enums in the headers"; exit 1; }
# core/ has all public functions. What they call in backends/ need not be there, so this takes a second.
{ echo '#include <dcnv4/dcnv4.h>'; cat "$work/enums"; } |
    "${CC:-cc}" -std=c11 -w -g -O0 -shared -fPIC -fvisibility=hidden -D_POSIX_C_SOURCE=200809L -DDCNV4_BUILDING -I include \
        core/*.c -x c - -Wl,-soname,"$soname" -o "$work/libdcnv4.so"
abidw --headers-dir include/dcnv4 --drop-private-types --drop-undefined-syms --no-corpus-path --no-comp-dir-path \
    --no-show-locs --no-elf-needed --type-id-style hash --out-file "$work/dcnv4.abi" "$work/libdcnv4.so"

case $how in
store)
    cp "$work/dcnv4.abi" "$stored"
    ;;
exact)
    abidiff --no-default-suppression --harmless "$stored" "$work/dcnv4.abi" ||
        { echo "The interface is not the one in tests/api/dcnv4.abi: sh tests/api/abidiff.sh store ."; exit 1; }
    ;;
check)
    abidiff --no-default-suppression --no-added-syms --suppressions "$here/additions.abignore" "$stored" "$work/dcnv4.abi" || {
        echo "Programs that were built with the last release would break. Where that is meant, the minor version, which is"
        echo "part of the soname, goes up in the same commit, with: sh tests/api/abidiff.sh store ."
        exit 1
    }
    ;;
*)
    echo "abidiff.sh: check, exact or store, not \"$how\""
    exit 2
    ;;
esac
