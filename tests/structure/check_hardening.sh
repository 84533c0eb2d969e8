#!/bin/sh
# check_hardening.sh LIBRARY: it has what cmake/hardening.cmake asks for.
set -eu
dynamic=$(readelf --wide --dynamic "$1")
segments=$(readelf --wide --segments "$1")
symbols=$(readelf --wide --dyn-syms "$1")
failed=0
demand() { # WHAT PATTERN TEXT
    echo "$3" | grep -qE "$2" || { echo "$1: no line with $2"; failed=1; }
}
demand "bound when it is loaded" 'BIND_NOW|FLAGS.* NOW' "$dynamic"
demand "read-only relocations" GNU_RELRO "$segments"
demand "no executable stack" 'GNU_STACK.* RW ' "$segments"
demand "stack protectors" __stack_chk_fail "$symbols"
demand "checked functions of the C library" '__[a-z]+_chk' "$symbols"
exit $failed
