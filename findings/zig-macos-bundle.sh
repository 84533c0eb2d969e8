#!/bin/sh
# ziglang 0.17.1 (zig cc) for aarch64-macos: -bundle, which asks the linker for a loadable module (MH_BUNDLE), is ignored.
#
# CMake links a MODULE library for macOS with -bundle, as Apple's manual of ld describes it. zig links an executable, and
# fails for want of main; in a file that has main, an executable (MH_EXECUTE, file type 2) comes out where a bundle
# (file type 8) was asked for. The one warning is "argument unused during compilation". -shared gives a library (file type 6),
# as it should.
#
# Expected: file type 8. Seen: "undefined symbol: _main", and file type 2.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile ziglang==0.17.1
export ZIG_GLOBAL_CACHE_DIR="$folder/cache" ZIG_LOCAL_CACHE_DIR="$folder/cache"
zig() {
    "$folder/venv/bin/python" -m ziglang "$@"
}
zig version
file_type() { # of a 64-bit Mach-O file: the fourth word
    od -An -t u4 -j 12 -N 4 "$1" | tr -d ' '
}
cd "$folder"
echo 'int answer(void) { return 42; }' >module.c
echo 'int answer(void) { return 42; } int main(void) { return answer(); }' >both.c
zig cc -target aarch64-macos.11.0 -bundle -o module.so module.c 2>said && said="it links" || said=$(grep -o 'undefined symbol: _main' said)
zig cc -target aarch64-macos.11.0 -bundle -o both.so both.c
zig cc -target aarch64-macos.11.0 -shared -o module.dylib module.c
echo "-bundle without main: $said; with main: file type $(file_type both.so); -shared: file type $(file_type module.dylib)"
if [ "$said" != "undefined symbol: _main" ] || [ "$(file_type both.so)" != 2 ] || [ "$(file_type module.dylib)" != 6 ]; then
    echo "changed: -bundle gave no bundle" >&2
    exit 1
fi
