#!/bin/sh
# compile_ahead.sh DCNV4 SAMPLE TARGET DEVICE ATTENTION: compiles the sample's layer ahead of time, then runs it on a
# device with the compiler switched off. Likewise with the golden case ATTENTION of multi-scale deformable attention.
set -eu
dcnv4=$1 sample=$2 target=$3 device=$4 attention=$5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! "$dcnv4" info | grep -q "^$device"; then
    exit 77
fi

forward() {
    DCNV4_CACHE_DIR=$1 DCNV4_COMPILER=off "$dcnv4" forward --device "$device" --value "$sample/value.npy" \
        --offset-mask "$sample/offset_mask.npy" --groups 4 --dtype f32 --output "$folder/output.npy" 2>"$folder/errors"
}

"$dcnv4" compile --target "$target" --groups 4 --group-channels 16 --dtype f32 --output "$folder/filled"
forward "$folder/filled"
if forward "$folder/empty"; then
    echo "a kernel came from nowhere"
    exit 1
fi
grep -q 'DCNV4_COMPILER is off' "$folder/errors"

attend() {
    DCNV4_CACHE_DIR=$1 DCNV4_COMPILER=off "$dcnv4" forward --operator msda --device "$device" --dtype f32 \
        --value "$attention/value.npy" --locations "$attention/sampling_locations.npy" \
        --weights "$attention/attention_weights.npy" --spatial-shapes "$attention/spatial_shapes.npy" \
        --output "$folder/output.npy" 2>"$folder/errors"
}

"$dcnv4" compile --operator msda --target "$target" --heads 4 --head-channels 16 --points 4,4 --dtype f32 \
    --output "$folder/attention"
attend "$folder/attention"
if attend "$folder/empty"; then
    echo "a kernel of attention came from nowhere"
    exit 1
fi
grep -q 'DCNV4_COMPILER is off' "$folder/errors"
