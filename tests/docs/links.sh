#!/bin/sh
# links.sh ROOT: every relative link in the project's Markdown files leads to a file or folder, and no cell of a table
# is longer than 200 characters: longer text does not belong in a table.
set -eu
cd "$1"
status=0
for file in $(find . -name '*.md' ! -path './build*' ! -path './.git/*' | sort); do
    for link in $(grep -oE '\]\([^)#]+' "$file" | sed 's/^](//' | grep -vE '^(https?|mailto):'); do
        [ -e "$(dirname "$file")/$link" ] || {
            echo "$file: no file for the link $link"
            status=1
        }
    done
    awk -F '|' -v file="$file" '/^\|/ { for (i = 2; i < NF; i++) if (length($i) > 200) {
        print file ":" NR ": a cell of " length($i) " characters"; bad = 1 } } END { exit bad }' "$file" || status=1
done
exit $status
