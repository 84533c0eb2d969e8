#!/bin/sh
# check_attention.sh PRINT_SOURCE DIALECT COMPILER [BUDGETS]: compiles the kernels of multi-scale deformable attention for a few
# layers and targets, for aligned buffers, and compares them with the budgets: the most registers, and the fewest 16-byte accesses
# of global memory. It fails if a kernel spills or uses scratch memory. Without BUDGETS it prints the lines of that file instead.
# Layers have 8 heads and four levels of 4 points; the last has a softmax, and 3 points in each level. Of the kernels for
# grad_value, _atomic adds atomically and _tiles owns its places.
set -eu
export LC_ALL=C
print_source=$1 dialect=$2 compiler=$3 budgets=${4:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# A line for each kernel: its name, registers, 16-byte accesses, spilled bytes.
measure_cuda() {
    "$compiler" -w -ptx "-arch=compute_${1#sm_}" -o "$3.ptx" "$2" 2>"$3.report" || fail "$(cat "$3.report")"
    "$(dirname "$(readlink -f "$compiler")")/ptxas" -v "-arch=$1" -o "$3.cubin" "$3.ptx" 2>"$3.report" ||
        fail "$(cat "$3.report")"
    awk '/\.entry/ { sub(/.*\.entry /, ""); sub(/\(.*/, ""); name = $0 }
         /(ld|st)\.global[.a-z]*\.v4\.(f|b|u)32|(ld|st)\.global[.a-z]*\.v2\.(f|b|u)64/ { ++wide[name] }
         FILENAME ~ /report$/ && /Compiling entry/ { split($0, part, "\x27"); name = part[2] }
         /bytes stack frame/ { spilled[name] = $1 + $5 + $9 }
         /Used [0-9]+ registers/ { sub(/.*Used /, ""); registers[name] = $1 }
         END { for (name in registers) print name, registers[name], wide[name] + 0, spilled[name] + 0 }' \
        "$3.ptx" "$3.report"
}

measure_hip() {
    "$compiler" -w -x hip "--offload-arch=$1" --cuda-device-only -nogpuinc -nogpulib -O3 -munsafe-fp-atomics -S -o "$3.s" \
        "$2" 2>"$3.report" || fail "$(cat "$3.report")"
    ! grep -q cmpswap "$3.s" || fail "$1: atomic additions by compare and exchange"
    awk '/^attn_[a-z_]*:/ { name = $1; sub(/:.*/, "", name) }
         /global_(load|store)_(dwordx4|b128)/ { ++wide[name] }
         /\.name: +attn_/ { name = $2 } /\.vgpr_count:/ { registers[name] = $2 }
         /^    \.(private_segment_fixed_size|sgpr_spill_count|vgpr_spill_count):/ { ++seen; spilled += $2 }
         /\.vgpr_spill_count:/ { print name, registers[name], wide[name] + 0, spilled; spilled = 0 }
         END { exit seen == 0 }' "$3.s"
}

# Of a program: LAYER (dtype-channels), its arguments for print_source, and what is measured for each target.
measure_program() {
    name=$1-$3-$9
    shift
    "$print_source" "$dialect" "$@" >"$folder/$name.cu"
    for target in $targets; do
        "measure_$dialect" "$target" "$folder/$name.cu" "$folder/$name-$target" >"$folder/$name-$target.kernels"
        way=$([ "$2" = 2 ] && { [ "$8" = 1 ] && echo _tiles || echo _atomic; } || true)
        awk -v about="$target ${name%%-[0-9]-*}" -v way="$way" \
            '{ print about, $1 ($1 == "attn_backward_value" ? way : ""), $2, $3, $4 }' "$folder/$name-$target.kernels"
    done
}

case $dialect in
cuda) targets='sm_75 sm_90' ;;
hip) targets='gfx942 gfx1100' ;;
esac
for layer in 'f32-32 0 32 4 0' 'f16-32 1 32 4 0' 'bf16-16 2 16 4 0' 'f32-24-softmax 0 24 3 1'; do
    # shellcheck disable=SC2086
    set -- $layer
    for part in '0 0' '1 0' '2 0' '2 1'; do
        measure_program "$1" attention "${part% *}" "$2" 8 "$3" "$4" "$5" "${part#* }" 1
    done
done | grep -vE 'attn_backward_(clear|convert)' | sort -u >"$folder/measured"
awk '$6 != 0 { print $0 ": spills"; bad = 1 } END { exit bad }' "$folder/measured" >&2
if [ -z "$budgets" ]; then
    awk '{ print $1, $2, $3, int(($4 + 7) / 8) * 8, $5 }' "$folder/measured"
    exit
fi
awk '{ kernel = $1 " " $2 " " $3 }
    NR == FNR { registers[kernel] = $4; wide[kernel] = $5; next }
    !(kernel in wide) { print $0 ": has no budget"; bad = 1; next }
    $4 > registers[kernel] { print $0 ": more than " registers[kernel] " registers"; bad = 1 }
    $5 < wide[kernel] { print $0 ": fewer than " wide[kernel] " accesses of 16 bytes"; bad = 1 }
    END { exit bad }' "$budgets" "$folder/measured"
echo "$(wc -l <"$folder/measured") kernels of multi-scale deformable attention, for $targets"
test "$(wc -l <"$folder/measured")" -ge 40
