#!/bin/sh
# The instructions that a pass takes, counted by callgrind, must be within 5 % of those in figures.txt: a check of speed
# that needs no clock.
#   check_instructions.sh PROGRAM COMPILER DEVICE           compares; 77 if figures.txt has none for these two
#   check_instructions.sh --print PROGRAM COMPILER DEVICE   prints the lines for figures.txt
set -eu
export LC_ALL=C
margin=5
figures=$(dirname "$0")/figures.txt
print=no
if [ "$1" = --print ]; then
    print=yes
    shift
fi
program=$1 compiler=$2 device=$3

if [ $print = no ] && ! grep -q "^$compiler $device " "$figures"; then
    echo "skipped: figures.txt has no figures of $compiler on $device; to add them: $0 --print $*"
    exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$work/counts" "$program" "$device" \
    >"$work/log" 2>&1 || status=$?
if [ $status != 0 ]; then
    cat "$work/log"
    exit $status
fi

# callgrind writes a dump for each counted pass, with its name.
(
    cd "$work"
    awk -v key="$compiler $device" '
        sub(/^desc: Trigger: Client Request: /, "") { name = $0 }
        /^totals: / { print key, name, $2 }
    ' $(ls counts.* | sort -t . -k 2n)
) >"$work/counted"

if [ $print = yes ]; then
    cat "$work/counted"
    exit
fi
awk -v key="$compiler $device" -v margin=$margin -v again="$0 --print $*" '
    function complain(text) {
        print text
        ++complaints
    }
    { name = $3 " " $4 " " $5 " " $6 }
    FNR == NR {
        if ($1 " " $2 == key)
            figure[name] = $7
        next
    }
    !(name in figure) {
        complain(name ": figures.txt has no line for it")
        next
    }
    {
        change = 100 * ($7 - figure[name]) / figure[name]
        printf "%s: %d instructions, %+.2f %% of %d\n", name, $7, change, figure[name]
        if (!(change <= margin))
            complain(name ": slower by more than " margin " %: find out why")
        if (!(change >= -margin))
            complain(name ": faster by more than " margin " %: lower the figure, so that the gain is kept")
        delete figure[name]
        ++counted
    }
    END {
        for (name in figure)
            complain(name ": in figures.txt, but not counted")
        if (complaints > 0)
            print "The lines for figures.txt: " again
        exit complaints > 0 || counted == 0
    }
' "$figures" "$work/counted"
