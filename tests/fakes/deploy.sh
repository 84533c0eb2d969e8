#!/bin/sh
# deploy.sh DCNV4 LAYER TARGET DEVICE WITH WITHOUT: compiles a layer ahead of time for a target, with the libraries of
# the folder WITH; runs it with those of WITHOUT, which have no compiler; and tries kernels that are missing. LAYER is a
# folder of tensors.
set -eu
dcnv4=$1 layer=$2 target=$3 device=$4 with=$5 without=$6
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# run LIBRARIES CACHE: compares the device with the reference.
run() {
    LD_LIBRARY_PATH=$1 DCNV4_CACHE_DIR=$2 "$dcnv4" check --device "$device" --value "$layer/value.npy" \
        --offset-mask "$layer/offset_mask.npy" --groups 2 --dtype f32 >"$folder/printed" 2>&1
}

# refused SENTENCE LIBRARIES CACHE
refused() {
    if run "$2" "$3"; then
        echo "it ran, and should have said: $1"
        exit 1
    fi
    grep -q "$1" "$folder/printed" || { cat "$folder/printed"; exit 1; }
}

LD_LIBRARY_PATH=$with "$dcnv4" compile --target "$target" --groups 2 --group-channels 16 --dtype f32 --output "$folder/filled"
run "$without" "$folder/filled" || { cat "$folder/printed"; exit 1; }
grep -q ' ok$' "$folder/printed"

name=${target#*:}
refused "there is no compiler for $name and no kernel for this layer in the cache" "$without" off
case $target in
*sm_*) package="Debian: nvidia-cuda-toolkit; PyPI: nvidia-cuda-nvrtc" ;;
*) package="Debian: libamdhip64-5" ;;
esac
refused "$package" "$without" off
DCNV4_COMPILER=off
export DCNV4_COMPILER
refused "DCNV4_COMPILER is off and $folder/empty has no kernel for this layer and device" "$with" "$folder/empty"
