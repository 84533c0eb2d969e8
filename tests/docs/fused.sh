#!/bin/sh
# Runs the snippet of docs/embedding.md about slices of one tensor, as it is printed.
#   fused.sh SOURCE_DIR BINARY_DIR COMPILER FLAGS
set -eu
source=$1 binary=$2 compiler=$3 flags=${4:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

awk '/^```c$/ { text = ""; inside = 1; next }
    /^```$/ { if (text ~ /point_into_fused/) printf "%s", text; inside = 0 }
    inside { text = text $0 "\n" }' "$source/docs/embedding.md" >"$folder/fused_piece.h"
grep -q point_into_fused "$folder/fused_piece.h"
# shellcheck disable=SC2086
"$compiler" $flags -std=c11 -Wall -Wextra -Werror -I"$folder" -I"$source/include" "$source/tests/docs/fused.c" -L"$binary" \
    -ldcnv4 -Wl,-rpath,"$binary" -o "$folder/fused"
"$folder/fused"
