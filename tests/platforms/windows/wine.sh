#!/bin/sh
# wine.sh WINE PREFIX PROGRAM ARGUMENT…: runs a program for Windows. The prefix, wine's own folder, is made if it is
# missing. $WINEDLLOVERRIDES is added to what is set here.
set -eu
wine=$1
WINEPREFIX=$2
shift 2
export WINEPREFIX WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winedbg.exe=;${WINEDLLOVERRIDES:-}"
mkdir -p "$WINEPREFIX"
[ -e "$WINEPREFIX/system.reg" ] || "$wine" wineboot -i </dev/null >/dev/null 2>&1
exec "$wine" "$@"
