#!/bin/sh
# check_resources.sh PRINT_SOURCE DIALECT COMPILER few|all [BUDGETS]: compiles the kernels of the models' layers (3×3, 16 or
# 32 channels a group) for real targets, without a GPU, and holds them against the budgets: registers, 16-byte
# accesses of global memory (at least), and what is spilled or in scratch memory. Nothing may add atomically, or loop over a
# wave's lanes where an index differs. The variant that adds atomically must do so with instructions of the target. Without BUDGETS it
# prints the lines of that file instead.
set -eu
export LC_ALL=C
print_source=$1 dialect=$2 compiler=$3 which=$4 budgets=${5:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# dtype's number, its word, channels of a group
layers="0 f32 16
1 f16 32
2 bf16 16"
targets_cuda="sm_75 sm_90" targets_hip="gfx90a gfx1100"
if [ "$which" = all ]; then
    layers="$layers
0 f32 32
1 f16 16
2 bf16 32"
    targets_cuda="sm_75 sm_80 sm_90 sm_100 sm_120" targets_hip="gfx90a gfx942 gfx1100 gfx1201"
fi
ptxas=$(dirname "$(readlink -f "$compiler")")/ptxas

fail() {
    echo "$*" >&2
    exit 1
}

# ptx_of ARCHITECTURE: kernel.cu to kernel.ptx
ptx_of() {
    "$compiler" -ptx "-arch=$1" -o "$folder/kernel.ptx" "$folder/kernel.cu" 2>"$folder/report" || fail "$(cat "$folder/report")"
}

# What the reports of compilers say of each kernel: its name, registers, 16-byte accesses, what it spills.
measure_cuda() {
    "$ptxas" -v "-arch=$1" -o "$folder/kernel.cubin" "$folder/kernel.ptx" 2>"$folder/report" || fail "$(cat "$folder/report")"
    awk '/\.entry/ { sub(/.*\.entry /, ""); sub(/\(.*/, ""); name = $0 }
         /(ld|st)\.global[.a-z]*\.v4\.(f|b|u)32|(ld|st)\.global[.a-z]*\.v2\.(f|b|u)64/ { ++wide[name] }
         FILENAME ~ /report$/ && /Compiling entry/ { split($0, part, "\x27"); name = part[2] }
         /bytes spill stores/ { spilled[name] = $5 + $9 }
         /Used [0-9]+ registers/ { sub(/.*Used /, ""); registers[name] = $1 }
         END { for (name in registers) print name, registers[name], wide[name] + 0, spilled[name] + 0 }' \
        "$folder/kernel.ptx" "$folder/report" | sort
}

measure_hip() {
    "$compiler" -x hip "--offload-arch=$1" --cuda-device-only -nogpuinc -nogpulib -O3 -munsafe-fp-atomics -S \
        -o "$folder/kernel.s" "$folder/kernel.cu" 2>"$folder/report" || fail "$(cat "$folder/report")"
    # A waterfall: a block that reads the first lane, masks the others, and branches to itself while lanes are left.
    awk '/^\.LBB/ { block = $1; sub(/:.*/, "", block); first = masked = 0 }
         /v_readfirstlane/ { first = 1 } /saveexec/ { masked = first }
         /s_cbranch_execnz/ && masked && $2 == block { found = 1 } END { exit found }' "$folder/kernel.s" ||
        fail "$1: $about has a loop over a wave's lanes"
    awk '/^dcn_[a-z_]*:/ { name = $1; sub(/:.*/, "", name) }
         /global_(load|store)_(dwordx4|b128)/ { ++wide[name] }
         /\.name: +dcn_/ { name = $2 } /\.vgpr_count:/ { registers[name] = $2 }
         /^    \.(private_segment_fixed_size|sgpr_spill_count|vgpr_spill_count):/ { ++seen; spilled += $2 }
         /\.vgpr_spill_count:/ { print name, registers[name], wide[name] + 0, spilled; spilled = 0 }
         END { exit seen == 0 }' "$folder/kernel.s" | sort
}

# hold TARGET: a line for each kernel that was measured, or its comparison.
hold() {
    while read -r name registers wide spilled; do
        kernel="$1 $dtype $channels $name"
        if [ -z "$budgets" ]; then
            echo "$kernel $(((registers + 7) / 8 * 8)) $wide $spilled"
            continue
        fi
        line=$(grep "^$kernel " "$budgets") || fail "$kernel has no line in $budgets"
        # shellcheck disable=SC2086
        set -- "$1" ${line#"$kernel"}
        [ "$registers" -le "$2" ] || fail "$kernel takes $registers registers; its budget is $2"
        [ "$wide" -ge "$3" ] || fail "$kernel has $wide accesses of 16 bytes; it had $3"
        [ "$spilled" -le "$4" ] || fail "$kernel spills $spilled bytes or registers"
        echo "$kernel: $registers of $2 registers, $wide accesses of 16 bytes, $spilled spilled"
    done
}

check_atomic() {
    "$print_source" "$dialect" 2 0 4 32 3 0 0 2048 >"$folder/kernel.cu"
    about="the atomic variant"
    if [ "$dialect" = cuda ]; then
        ptx_of sm_90
        grep -q 'red\.global\.add\.v4\.f32' "$folder/kernel.ptx" || fail "sm_90: no atomic addition of four numbers"
        return
    fi
    for target in $targets_hip; do
        measure_hip "$target" >/dev/null
        grep -q 'global_atomic_add_f32' "$folder/kernel.s" || fail "$target: no native atomic addition"
        if grep -q 'cmpswap' "$folder/kernel.s"; then
            fail "$target: atomic additions by compare and exchange"
        fi
    done
}

count=0
while read -r number dtype channels; do
    for part in 0 1 2; do
        "$print_source" "$dialect" $part "$number" 4 "$channels" 3 0 0 >"$folder/kernel.cu"
        about="$dtype $channels"
        if [ "$dialect" = cuda ]; then
            ptx_of compute_75
            grep -E '[[:space:]](red|atom)[.]global' "$folder/kernel.ptx" >&2 && fail "$about adds atomically"
            targets=$targets_cuda
        else
            targets=$targets_hip
        fi
        for target in $targets; do
            "measure_$dialect" "$target" >"$folder/measured"
            [ "$dialect" = cuda ] || ! grep -E 'global_atomic|flat_atomic' "$folder/kernel.s" >&2 ||
                fail "$about adds atomically"
            hold "$target" <"$folder/measured"
            count=$((count + $(wc -l <"$folder/measured")))
        done
    done
done <<EOF
$layers
EOF
check_atomic
[ -z "$budgets" ] || { echo "$count kernels" && test "$count" -ge 24; }
