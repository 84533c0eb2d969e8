#!/bin/sh
# wine_server.sh WINE PREFIX start|stop: wine's server and services, which would otherwise keep the output of the first test
# that needs them open as long as they live. Without a client the server ends after ten minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
export WINEPREFIX="$2"
server=$(dirname "$1")/wineserver64
if [ "$3" = stop ]; then
    "$server" -k || true
else
    "$server" -p600 </dev/null >/dev/null 2>&1 || true
    sh "$here/wine.sh" "$1" "$2" cmd /c "exit 0" </dev/null >/dev/null 2>&1
fi
