#!/bin/sh
# check_abi.sh COMPILER INCLUDE ABI: checks that ABI, a file of static assertions, compiles and contains all that the
# headers in INCLUDE/dcnv4 define: every struct and its members, and every constant of an enum.
set -eu
compiler=$1 include=$2 abi=$3
"$compiler" -std=c11 -Wall -Wextra -Werror -fsyntax-only -I "$include" "$abi"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Names as in SIZE, MEMBER and VALUE, from the headers without directives and comments, one declaration per line.
grep -hv '^ *#' "$include"/dcnv4/*.h | "$compiler" -E -P -x c - | tr '\n' ' ' | sed 's/[;{}]/&\n/g' | awk '
    /typedef (struct|enum) [a-z0-9_]+ *\{$/ { kind = $(NF - 2); name = $(NF - 1); print name; next }
    kind && /^ *\}/ { kind = ""; next }
    kind == "enum" { gsub(/=[^,}]*/, ""); gsub(/[,}]/, " "); for (i = 1; i <= NF; i++) print $i; kind = "" }
    kind == "struct" { sub(/;$/, ""); gsub(/\[[^]]*\]/, ""); gsub(/\*/, " "); count = split($0, declared, ",")
        for (i = 1; i <= count; i++) { words = split(declared[i], word, " "); if (words) print name ", " word[words] } }
    ' | sort -u >"$folder/header"
sed -nE 's/^(SIZE|VALUE)\(([^,]*),.*/\2/p; s/^MEMBER\(([^,]*, [^,]*),.*/\1/p' "$abi" | sort -u >"$folder/abi"
test "$(wc -l <"$folder/header")" -ge 60
diff "$folder/header" "$folder/abi" || {
    echo "< is in the header alone, > in $abi alone"
    exit 1
}
