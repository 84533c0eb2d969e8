#!/bin/sh
# ziglang 0.17.1 (zig cc, clang 22): __builtin_cpu_supports answers no to every question, on every x86-64 processor.
#
# Programs ask it which of their kernels the processor can run. SSE2 is part of x86-64: the answer cannot be 0, and
# CPUID says so in the same program. zig's own run-time library (lib/compiler_rt/fmv.zig) has the variables that the
# answers are read from, zeroed, and a __cpu_indicator_init that does not fill them. It compiles and links without a
# warning, and what is chosen is the slowest kernel. gcc answers rightly, and so did clang 19.
#
# Expected: sse2 1. Seen: sse2 0 (with __builtin_cpu_init() before, too), CPUID's bit 1; gcc: 1. Needs gcc.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile ziglang==0.17.1
cat > "$folder/ask.c" <<'END'
#include <cpuid.h>
#include <stdio.h>

int main(void) {
    unsigned a, b, c, d = 0;
    const int before = !!__builtin_cpu_supports("sse2");
    __builtin_cpu_init();
    __get_cpuid(1, &a, &b, &c, &d);
    const int after = !!__builtin_cpu_supports("sse2");
    printf("sse2 %d, after __builtin_cpu_init() %d, CPUID %d\n", before, after, !!(d & bit_SSE2));
    return 0;
}
END
export ZIG_GLOBAL_CACHE_DIR="$folder/cache" ZIG_LOCAL_CACHE_DIR="$folder/cache"
"$folder/venv/bin/python" -m ziglang version
"$folder/venv/bin/python" -m ziglang cc -O2 -Wall -target x86_64-linux-gnu -o "$folder/zig" "$folder/ask.c"
gcc -O2 -o "$folder/gcc" "$folder/ask.c"
by_zig=$("$folder/zig") by_gcc=$("$folder/gcc")
echo "zig cc: $by_zig"
echo "gcc:    $by_gcc"
if [ "$by_zig" != "sse2 0, after __builtin_cpu_init() 0, CPUID 1" ] ||
    [ "$by_gcc" != "sse2 1, after __builtin_cpu_init() 1, CPUID 1" ]; then
    echo "changed: zig's answers were 0 and 0, gcc's 1 and 1" >&2
    exit 1
fi
