#!/bin/sh
# Makes a locale in a folder of its own and runs a program there, with an empty kernel cache beside it.
#   in_locale.sh NAME PROGRAM ARGUMENT…   NAME is de_DE, tr_TR, …; 77 if its source is not installed
set -eu
name=$1
shift
if ! command -v localedef >/dev/null || ! [ -e "/usr/share/i18n/locales/$name" ]; then
    echo "skipped: there is no source of the locale $name to make it of (Debian: locales)"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
localedef --no-archive -i "$name" -f UTF-8 "$folder/$name.UTF-8"
LOCPATH=$folder LC_ALL=$name.UTF-8 DCNV4_CACHE_DIR=$folder/kernels "$@"
