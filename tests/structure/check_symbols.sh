#!/bin/sh
# The library exports exactly what the headers declare, and its objects define no global names without our prefix.
#   check_symbols.sh NM HEADERS LIBRARY OBJECT…
set -eu
nm=$1 headers=$2 library=$3
shift 3

declared=$(sed -n 's/^DCNV4_API .*[ *]\(dcnv4_[a-z0-9_]*\)(.*/\1/p' "$headers"/*.h | sort)
[ "$(printf '%s\n' "$declared" | wc -l)" -ge 20 ] || { echo "the headers' functions were not found"; exit 1; }

# Names that compilers and sanitizers add.
foreign='^(_init|_fini|mangle_path|__bss_start|_edata|_end|_+(asan|hwasan|msan|tsan|ubsan|sanitizer|odr_asan|start|stop|gcov|llvm|sancov).*|_ZTI.*)$'
names() { # names NM-OPTION… FILE…: the defined names
    "$nm" "$@" | awk 'NF >= 3 { print $3 }' | sed 's/@.*//' | grep -vE "$foreign" | sort -u
}

failed=0
if [ "$library" != none ]; then
    exported=$(names -D --defined-only "$library")
    if [ "$exported" != "$declared" ]; then
        echo "exported, but not declared in the header, or the other way round:"
        printf '%s\n' "$exported" "$declared" | sort | uniq -u
        failed=1
    fi
fi
others=$(names -g --defined-only "$@" | grep -vE '^dcnv4i?_' || true)
if [ -n "$others" ]; then
    echo "global names without our prefix:"
    printf '%s\n' "$others"
    failed=1
fi
count=$(names -g --defined-only "$@" | wc -l)
echo "$count global names"
[ "$failed" = 0 ] && [ "$count" -ge 20 ]
