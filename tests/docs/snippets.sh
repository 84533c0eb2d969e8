#!/usr/bin/env bash
# Compiles each C snippet of a document as it is printed; those whose headers are not installed are left out.
#   snippets.sh DOCUMENT AT_LEAST COMPILER ARGUMENT…
set -euo pipefail
document=$1 at_least=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

awk -v folder="$folder" '
    /^```c$/ { file = sprintf("%s/%d.c", folder, ++count); next }
    /^```$/ { file = "" }
    file { print >file }' "$document"

compiled=0
for snippet in "$folder"/*.c; do
    if ! grep -E '^#' "$snippet" | "$@" -E -x c - >"$folder/preprocessed" 2>"$folder/errors"; then
        echo "left out: $(grep -o -m1 'fatal error:.*' "$folder/errors")"
        continue
    fi
    "$@" -std=c11 -Wall -Wextra -Werror -Wno-pedantic -fsyntax-only "$snippet"
    compiled=$((compiled + 1))
done
echo "$compiled compiled"
[ $compiled -ge "$at_least" ]
