#!/bin/sh
# check_portable.sh COMPILE_LAYERS TARGET DTYPE PTXAS: compiles both operators' kernels for the target, and assembles the PTX
# that is kept for older drivers with PTXAS, of the oldest CUDA whose drivers know the target, or nearly.
set -eu
compile_layers=$1 target=$2 dtype=$3 ptxas=$4
[ -x "$ptxas" ] || {
    echo "skipped: there is no $ptxas; ci/compilers install gets one"
    exit 77
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
DCNV4_CACHE_DIR=$folder/kernels "$compile_layers" "$target" "$dtype"
kernels=0
for file in "$folder"/kernels/*; do
    grep -aq "^.target $target" "$file" || continue
    sed -n '/^\.version/,$p' "$file" | tr -d '\000' >"$folder/kernel.ptx"
    "$ptxas" "-arch=$target" -o /dev/null "$folder/kernel.ptx" || {
        grep '^.version' "$folder/kernel.ptx"
        exit 1
    }
    kernels=$((kernels + 1))
done
echo "$kernels modules assembled for $target"
[ $kernels -ge 8 ]
