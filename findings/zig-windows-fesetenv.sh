#!/bin/sh
# ziglang 0.17.1 (zig cc, its mingw-w64), for x86_64-windows-gnu: fesetenv(FE_DFL_ENV) returns 0 and leaves MXCSR, the
# control register of all float and double arithmetic, as it is.
#
# C11 7.6.4.3 and 7.6: FE_DFL_ENV is the environment at program startup, and fesetenv establishes it. After
# fesetround(FE_UPWARD) and fesetenv(FE_DFL_ENV), 1.0f + 1e-30f must be 1 and fegetround() FE_TONEAREST (0). But mingw's
# fesetenv calls _fpreset, which there is the one instruction fninit: it resets the x87 unit's control word alone. The
# order of calls is the usual one of a library that must not depend on its caller's rounding.
#
# Expected: 0 1.00000000 (round to nearest, as at the start). Seen: 512 1.00000012 (FE_UPWARD). Needs wine64 (Debian's
# wine 8.0 was used; it only runs the program, which has its own copy of these functions), and gcc, whose C library does
# it right. Without a ZIG_GLOBAL_CACHE_DIR that has mingw-w64 built, zig builds it first: minutes, on a busy machine many.
set -eu
wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
[ -x "$wine" ] || { echo "wine64 is needed" >&2; exit 2; }
folder=$(mktemp -d)
export WINEPREFIX="$folder/prefix" WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml='
trap '"$(dirname "$wine")/wineserver64" -k 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile ziglang==0.17.1
cat > "$folder/ask.c" <<'END'
#include <fenv.h>
#include <stdio.h>

int main(void) {
    volatile float one = 1.0f, little = 1e-30f;
    if (fesetround(FE_UPWARD) != 0 || fesetenv(FE_DFL_ENV) != 0)
        return 1;
    volatile float sum = one + little;
    const int rounding = fegetround();
    fesetround(FE_TONEAREST);
    printf("%d %.8f\n", rounding, (double)sum);
    return 0;
}
END
export ZIG_GLOBAL_CACHE_DIR="${ZIG_GLOBAL_CACHE_DIR:-$folder/cache}" ZIG_LOCAL_CACHE_DIR="$folder/cache"
"$folder/venv/bin/python" -m ziglang version
"$folder/venv/bin/python" -m ziglang cc -O2 -Wall -target x86_64-windows-gnu -o "$folder/zig.exe" "$folder/ask.c"
gcc -O2 -Wall -frounding-math -o "$folder/gcc" "$folder/ask.c" -lm
"$wine" wineboot -i >/dev/null 2>&1 || true
by_zig=$("$wine" "$folder/zig.exe" | tr -d '\r') by_gcc=$("$folder/gcc")
echo "zig cc, for Windows: $by_zig"
echo "gcc, for Linux:      $by_gcc"
if [ "$by_zig" != "512 1.00000012" ] || [ "$by_gcc" != "0 1.00000000" ]; then
    echo "changed: zig's answer was 512 1.00000012, gcc's 0 1.00000000" >&2
    exit 1
fi
