#!/bin/sh
# Compares the command's output in the environment's locale (a library has called setlocale) with that in the C locale.
#   command.sh COMMAND SET_LOCALE CASES   SET_LOCALE is a library to load first, CASES the folder of golden cases
set -eu
command=$1 case=$3/plain3x3
load=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
layer="--value $case/value.npy --offset-mask $case/offset_mask.npy --groups 2"
times="--size 1x8x8 --groups 2 --group-channels 4 --runs 1 --device reference"
status=0

complain() {
    echo "$*"
    status=1
}

# here ARGUMENT…: runs the command in this locale.
here() {
    LD_PRELOAD=$load "$command" "$@"
}

# plain ARGUMENT…: runs the command in the C locale.
plain() {
    LC_ALL=C "$command" "$@"
}

# same FILE ARGUMENT…: stdout, stderr and the written FILE (- for none) must be the same in both.
same() {
    file=$1
    shift
    for way in here plain; do
        # shellcheck disable=SC2086
        (cd "$work" && $way "$@" >$way.out 2>$way.err) || echo "exit $?" >>"$work/$way.out"
        [ "$file" = - ] || mv "$work/$file" "$work/$way.file"
    done
    for what in out err file; do
        if [ -e "$work/here.$what" ] && ! cmp "$work/here.$what" "$work/plain.$what"; then
            complain "dcnv4 $*: $what"
            head -n 5 "$work/here.$what" "$work/plain.$what"
        fi
    done
    rm -f "$work"/*
}

# numbers PATTERN ARGUMENT…: for times, which differ from run to run: there must be numbers, and none with a comma.
numbers() {
    pattern=$1
    shift
    # shellcheck disable=SC2086
    (cd "$work" && here "$@" && cat ./*.svg ./*.csv 2>/dev/null) >"$work/out" || [ $? = 1 ]
    grep -q '[0-9]\.[0-9]' "$work/out" || complain "dcnv4 $*: no number has a point"
    ! grep -E -m 3 "$pattern" "$work/out" || complain "dcnv4 $*: a number has a comma"
    rm -f "$work"/*
}

# Without a decimal comma in this locale the rest would prove nothing.
[ "$(LC_ALL=$LC_ALL /usr/bin/printf %.1f 1,5)" = 1,5 ] || complain "the locale $LC_ALL has no decimal comma"

# shellcheck disable=SC2086
{
    same o.npy forward $layer --device reference --offset-scale 1.5 --output o.npy
    same - forward $layer --device reference --offset-scale 1,5 --output o.npy
    same o.npy forward $layer --device cpu --dtype f16 --offset-scale 1.25e-1 --output o.npy
    same - forward $layer --output no/o.npy
    same - info --json
    same - check --cases 2 --device cpu --seed 3
    same - bench --list --preset paper --format json
    numbers '[0-9],[0-9]' bench $times --format json
    numbers '[0-9],[0-9]' bench $times
    numbers '^[^,]*(,[^,]*){19}' bench $times --format csv
    numbers '[0-9],[0-9]' bench $times --plot times.svg
    numbers '[0-9],[0-9]' check $layer --device reference
}
exit $status
