#!/bin/sh
# compile.sh DCNV4 SAMPLE: compiles the sample's layer ahead of time, then runs it with the compiler forbidden.
set -eu
dcnv4=$1 sample=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! "$dcnv4" info | grep -q '^opencl:0'; then
    exit 77
fi

forward() {
    DCNV4_CACHE_DIR=$1 DCNV4_COMPILER=off "$dcnv4" forward --device opencl:0 --value "$sample/value.npy" \
        --offset-mask "$sample/offset_mask.npy" --groups 4 --dtype f32 --output "$folder/output.npy" 2>"$folder/errors"
}

"$dcnv4" compile --target opencl:0 --groups 4 --group-channels 16 --dtype f32 --output "$folder/filled"
forward "$folder/filled"
if forward "$folder/empty"; then
    echo "a kernel came from nowhere"
    exit 1
fi
grep -q 'DCNV4_COMPILER is off' "$folder/errors"
