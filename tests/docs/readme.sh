#!/usr/bin/env bash
# Runs an example of the README as it is printed, in a folder laid out like a clone after a build.
#   readme.sh c|sh SOURCE_DIR BINARY_DIR COMPILER FLAGS
set -euo pipefail
language=$1 source=$2 binary=$3 compiler=$4 flags=${5:-}

clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
cd "$clone"
mkdir build
ln -s "$source"/{include,samples} .
ln -s "$binary"/dcnv4 "$binary"/libdcnv4.so* build/

# The lines of the README's fenced block in this language.
block() {
    awk -v "fence=\`\`\`$language" '$0 == fence { inside = 1; next } $0 == "```" { inside = 0 } inside' "$source/README.md"
}

# What the README calls cc: the compiler of this build, with its sanitizer.
cc() {
    # shellcheck disable=SC2086
    $compiler $flags "$@"
}

case $language in
c)
    block >example.c
    eval "$(grep -m1 '^    cc example.c ' "$source/README.md")" >printed
    cat printed
    [ "$(cat printed)" = done ]
    ;;
sh)
    block >commands
    grep -q '^dcnv4 ' commands
    set -x
    source ./commands
    [ -s build/output.npy ] && [ -s build/gv.npy ] && [ -s build/gom.npy ] && [ -s build/sampling.png ]
    ;;
esac
