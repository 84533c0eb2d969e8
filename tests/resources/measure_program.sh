#!/bin/sh
# measure_program.sh PRINT_SOURCE DIALECT COMPILER TARGETS PART DTYPE GROUPS CHANNELS ALIGNED [KERNEL SOFTMAX DETERMINISTIC]:
# compiles one program for some targets (sm_75,sm_90), without a GPU. Prints a line for each kernel: target, dtype,
# channels, kernel; registers, 16-byte accesses of global memory, and whether buffers are aligned. It fails if a kernel
# spills, uses scratch memory, atomic additions or generic addresses, or loops over a wave's lanes because an index
# differs among them.
set -eu
. "$(dirname "$0")/programs.sh"
print_source=$1 dialect=$2 compiler=$3 targets=$4 part=$5 dtype=$6 groups=$7 channels=$8 aligned=$9
shift 9
kernel=${1:-3} softmax=${2:-0} deterministic=${3:-0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
about="part $part, $dtype, $groups groups of $channels, $kernel×$kernel, aligned $aligned, softmax $softmax"

fail() {
    echo "$about: $*" >&2
    exit 1
}

# The PTX is the same for all architectures below 100, and for the newer ones, as check_resources.sh checks.
ptx_for() {
    case $1 in
    sm_??) virtual=compute_75 ;;
    *) virtual=compute_100 ;;
    esac
    ptx=$folder/$virtual.ptx
    [ ! -e "$ptx" ] || return 0
    "$compiler" -w -ptx "-arch=$virtual" -o "$ptx" "$folder/kernel.cu" 2>"$folder/report" || fail "$(cat "$folder/report")"
    ! grep -E '[[:space:]](red|atom)[.]global' "$ptx" >&2 || fail "adds atomically"
    ! grep -E '[[:space:]](ld|st)[.](v[24][.])?[bfsu][136]' "$ptx" >&2 || fail "has generic addresses"
}

# A line for each kernel: its name, registers, 16-byte accesses, spilled bytes.
measure_cuda() {
    ptx_for "$1"
    "$(dirname "$(readlink -f "$compiler")")/ptxas" -v "-arch=$1" -o "$folder/kernel.cubin" "$ptx" \
        2>"$folder/report" || fail "$(cat "$folder/report")"
    awk '/\.entry/ { sub(/.*\.entry /, ""); sub(/\(.*/, ""); name = $0 }
         /(ld|st)\.global[.a-z]*\.v4\.(f|b|u)32|(ld|st)\.global[.a-z]*\.v2\.(f|b|u)64/ { ++wide[name] }
         FILENAME ~ /report$/ && /Compiling entry/ { split($0, part, "\x27"); name = part[2] }
         /bytes stack frame/ { spilled[name] = $1 + $5 + $9 }
         /Used [0-9]+ registers/ { sub(/.*Used /, ""); registers[name] = $1 }
         END { for (name in registers) print name, registers[name], wide[name] + 0, spilled[name] + 0 }' \
        "$ptx" "$folder/report"
}

measure_hip() {
    "$compiler" -w -x hip "--offload-arch=$1" --cuda-device-only -nogpuinc -nogpulib -O3 -munsafe-fp-atomics -S \
        -o "$folder/kernel.s" "$folder/kernel.cu" 2>"$folder/report" || fail "$(cat "$folder/report")"
    ! grep -E 'global_atomic|flat_atomic' "$folder/kernel.s" >&2 || fail "$1: adds atomically"
    # A waterfall loop: a basic block that reads the first lane, masks the others, and branches to itself while lanes
    # are left.
    awk '/^\.LBB/ { block = $1; sub(/:.*/, "", block); first = masked = 0 }
         /v_readfirstlane/ { first = 1 } /saveexec/ { masked = first }
         /s_cbranch_execnz/ && masked && $2 == block { found = 1 } END { exit found }' "$folder/kernel.s" ||
        fail "$1: has a loop over a wave's lanes"
    awk '/^dcn_[a-z_]*:/ { name = $1; sub(/:.*/, "", name) }
         /global_(load|store)_(dwordx4|b128)/ { ++wide[name] }
         /\.name: +dcn_/ { name = $2 } /\.vgpr_count:/ { registers[name] = $2 }
         /^    \.(private_segment_fixed_size|sgpr_spill_count|vgpr_spill_count):/ { ++seen; spilled += $2 }
         /\.vgpr_spill_count:/ { print name, registers[name], wide[name] + 0, spilled; spilled = 0 }
         END { exit seen == 0 }' "$folder/kernel.s"
}

print_program "$print_source" "$dialect" "$part" "$dtype" "$groups" "$channels" "$aligned" "$kernel" "$softmax" \
    "$deterministic" >"$folder/kernel.cu"
for target in $(echo "$targets" | tr , ' '); do
    "measure_$dialect" "$target" >"$folder/measured"
    while read -r name registers wide spilled; do
        [ "$spilled" -eq 0 ] || fail "$target: $name spills $spilled"
        echo "$target $dtype $channels $name $registers $wide $aligned"
    done <"$folder/measured"
done
