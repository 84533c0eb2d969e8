#!/bin/sh
# tune.sh DCNV4 SAMPLE DEVICE: tunes the sample's layer, whichever tactic is the fastest. Then a new process uses the
# saved one, with right results; and a process without a folder reports that nothing can be saved.
set -eu
dcnv4=$1 sample=$2 device=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! "$dcnv4" info | grep -q "^$device"; then
    exit 77
fi

tune() {
    "$dcnv4" tune --device "$device" --size 1x9x10 --groups 4 --group-channels 16 --pass forward --runs 5 --format json "$@"
}

DCNV4_CACHE_DIR=$folder/cache tune >"$folder/first"
grep -q '"in_use": true' "$folder/first"
DCNV4_CACHE_DIR=$folder/cache tune --dry-run >"$folder/second"
# The indices of the tactic that was the fastest, and of the one that is in use now.
fastest=$(sed -n 's/.*"tactic": \([0-9]*\),.*"fastest": true, "kept": true.*/\1/p' "$folder/first")
in_use=$(sed -n 's/.*"tactic": \([0-9]*\),.*"in_use": true.*/\1/p' "$folder/second")
echo "fastest $fastest, in use $in_use"
[ -n "$fastest" ] && [ "$fastest" = "$in_use" ]
grep -q '"not_kept_since": "--dry-run"' "$folder/second"

DCNV4_CACHE_DIR=$folder/cache "$dcnv4" check --device "$device" --value "$sample/value.npy" \
    --offset-mask "$sample/offset_mask.npy" --groups 4 --dtype f32 >"$folder/checked"
grep -q ' ok$' "$folder/checked"

if [ "$device" = opencl:0 ]; then # elsewhere compiling takes longer
    DCNV4_CACHE_DIR=off tune >"$folder/off"
    grep -q '"not_kept_since": "there is no folder to keep a choice in: DCNV4_CACHE_DIR is off' "$folder/off"
fi

# With the compiler switched off there is nothing to compare with.
status=0
DCNV4_COMPILER=off DCNV4_CACHE_DIR=$folder/empty tune >"$folder/none" 2>"$folder/errors" || status=$?
[ $status -eq 3 ] && grep -q 'DCNV4_COMPILER is off' "$folder/errors" && ! [ -s "$folder/none" ]

# Multi-scale deformable attention: a tactic is the fastest, or the command says that there is none to choose.
status=0
DCNV4_CACHE_DIR=$folder/cache "$dcnv4" tune --operator msda --device "$device" --levels 5x6,3x3 --points 4 --heads 2 \
    --head-channels 16 --queries 20 --pass forward --runs 5 --format json >"$folder/attention" 2>"$folder/errors" || status=$?
if [ $status -eq 0 ]; then
    grep -q '"operator": "msda".*"fastest": true' "$folder/attention"
else
    [ $status -eq 2 ] && grep -q 'attention has 0 tactics' "$folder/errors"
fi
