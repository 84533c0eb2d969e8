#!/bin/sh
# check_tidy.sh CLANG_TIDY ROOT BUILD: the checks of .clang-tidy on the sources of the library and the command.
set -eu
tidy=$1 root=$2 build=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed -n 's/^ *"file": "\(.*\)",*$/\1/p' "$build/compile_commands.json" | grep -E "^$root/(core|backends|tools)/.*\.c$" |
    sort -u >"$folder/files"
test "$(wc -l <"$folder/files")" -ge 80
xargs -P "$(nproc)" -n 8 "$tidy" -p "$build" --quiet <"$folder/files" 2>"$folder/errors" || {
    cat "$folder/errors"
    exit 1
}
echo "$(wc -l <"$folder/files") files"
