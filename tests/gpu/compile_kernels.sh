#!/bin/sh
# compile_kernels.sh PRINT_SOURCE DIALECT COMPILER: every kernel in CUDA (nvcc) or HIP (clang), for real targets, without a
# GPU. Nothing may spill, and 16-byte loads must be there.
set -eu
print_source=$1 dialect=$2 compiler=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

compile_cuda() {
    "$compiler" -cubin -arch=sm_90 --resource-usage -o "$folder/kernel.cubin" "$folder/kernel.cu" >"$folder/report" 2>&1
    if grep -E '[1-9][0-9]* bytes spill' "$folder/report"; then
        return 1
    fi
}

compile_hip() {
    "$compiler" -x hip --offload-arch="$1" --cuda-device-only -nogpuinc -nogpulib -O3 -munsafe-fp-atomics -S \
        -o "$folder/kernel.s" "$folder/kernel.cu" 2>"$folder/report"
    # Scalar registers that do not fit are kept in lanes of vector registers, not in memory.
    if grep -E 'vgpr_spill_count: +[1-9]' "$folder/kernel.s"; then
        return 1
    fi
}

count=0
for layer in "0 4 32 3 0 0" "1 8 16 3 0 0" "2 4 16 3 1 1" "0 2 3 5 0 1" "1 3 24 1 1 0"; do
    for part in 0 1 2; do
        # shellcheck disable=SC2086
        "$print_source" "$dialect" $part $layer >"$folder/kernel.cu"
        case $dialect in
        cuda) compile_cuda || { cat "$folder/report"; exit 1; } ;;
        hip)
            for target in gfx90a gfx942 gfx1100; do
                compile_hip $target || { cat "$folder/report"; exit 1; }
            done
            ;;
        esac
        case "$layer $part" in
        "0 4 32 3 0 0 0" | "1 8 16 3 0 0 0")
            if [ "$dialect" = cuda ]; then
                "$compiler" -ptx -arch=sm_90 -o "$folder/kernel.s" "$folder/kernel.cu"
            fi
            grep -qE 'ld\.global\.nc\.v4|ld\.global\.v4|(global|flat)_load_(dwordx4|b128)' "$folder/kernel.s" ||
                { echo "no 16-byte load for layer $layer"; exit 1; } ;;
        esac
        count=$((count + 1))
    done
done
echo "$count kernels for $dialect"
test "$count" -eq 15
