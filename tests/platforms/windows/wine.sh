#!/bin/sh
# wine.sh WINE PREFIX PROGRAM ARGUMENT…: runs a program for Windows. The prefix, wine's own folder, is made if it is
# missing. wine's server is started apart from this process's output, which would otherwise stay open as long as it lives.
set -eu
wine=$1
WINEPREFIX=$2
shift 2
export WINEPREFIX WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml,winedbg.exe='
"$(dirname "$wine")/wineserver64" -p60 </dev/null >/dev/null 2>&1 || true
if [ ! -e "$WINEPREFIX/system.reg" ]; then
    mkdir -p "$WINEPREFIX"
    "$wine" wineboot -i </dev/null >/dev/null 2>&1
    "$(dirname "$wine")/wineserver64" -w </dev/null >/dev/null 2>&1 &
fi
exec "$wine" "$@"
