#!/bin/sh
# check_format.sh CLANG_FORMAT ROOT: every .c and .h file has the format of .clang-format, except those in
# .clang-format-ignore. To fix it: the same command with -i in place of --dry-run -Werror.
set -eu
format=$1
cd "$2"
find include core backends tools tests examples -name '*.[ch]' -exec "$format" --dry-run -Werror {} +
