#!/bin/sh
# compile_targets.sh DCNV4 TARGET…: compiles a layer for targets without such a device, and reads its kernels'
# resources. A target whose compiler is missing is left out; if all are, the test is skipped.
set -eu
dcnv4=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
compiled=0 failed=0
for target in "$@"; do
    status=0
    "$dcnv4" compile --target "$target" --groups 2 --group-channels 16 --dtype f16 --output "$folder/$target" \
        --format json >"$folder/report" 2>"$folder/errors" || status=$?
    cat "$folder/errors"
    [ $status -ne 3 ] || continue
    compiled=$((compiled + 1))
    kernels=$(grep -c "\"target\": \"$target\", \"kernel\": \"dcn_" "$folder/report") || true
    known=$(grep -cE '"registers": [1-9][0-9]*, "local_memory_bytes": [0-9]+, "spill_bytes": [0-9]+, "occupancy": (1|0[.][0-9]+)' \
        "$folder/report") || true
    staged=$(grep -E 'dcn_backward_points.*"local_memory_bytes": [1-9]' "$folder/report" | wc -l)
    echo "$target: $kernels kernels, $known known, $staged with local memory"
    if [ $status -ne 0 ] || [ "$kernels" -lt 6 ] || [ "$known" -ne "$kernels" ] || [ "$staged" -lt 1 ]; then
        cat "$folder/report"
        failed=1
    fi
done
[ $compiled -gt 0 ] || exit 77
exit $failed
