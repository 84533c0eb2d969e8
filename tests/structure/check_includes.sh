#!/bin/sh
# Prints every include that breaks the layout's rules, and every file name that occurs twice.
#   check_includes.sh ROOT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
status=0
find include core tools backends bindings -type f \( -name '*.[ch]' -o -name '*.inl' -o -name '*.def' \) | sort |
    xargs awk -f "$here/includes.awk" || status=1
twice=$(find include core tools backends bindings tests -type f -name '*.[ch]' | sed 's:.*/::' | sort | uniq -d)
if [ -n "$twice" ]; then
    echo "these names stand twice: $twice"
    status=1
fi
exit $status
