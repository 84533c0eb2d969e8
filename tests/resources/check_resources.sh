#!/bin/sh
# check_resources.sh PRINT_SOURCE DCNV4 DIALECT COMPILER [BUDGETS]: compiles the kernels of the models' layers, which
# `dcnv4 bench` lists, in every dtype, for aligned and misaligned buffers, for all targets that the compiler knows; and
# compares them with the budgets: the most registers and, for aligned buffers, the fewest 16-byte accesses of global
# memory. measure_program.sh says what else is checked, programs.sh which programs are compiled. Without BUDGETS it
# compiles all and prints the lines of that file instead.
set -eu
. "$(dirname "$0")/programs.sh"
print_source=$1 dcnv4=$2 dialect=$3 compiler=$4 budgets=${5:-}
measure=$here/measure_program.sh record=$here/recorded_$dialect.txt
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

knows() {
    case $dialect in
    cuda) "$compiler" --list-gpu-code | grep -qx "$1" ;;
    hip) "$compiler" -x hip "--offload-arch=$1" --cuda-device-only -nogpuinc -nogpulib -S -o /dev/null /dev/null 2>/dev/null ;;
    esac
}

# Lines of arguments for measure_program.sh, beginning with TARGETS.
programs() {
    while read -r groups channels; do
        for part in 0 1 2; do
            for dtype in f32 f16 bf16; do
                echo "$every $part $dtype $groups $channels 1"
                echo "$every $part $dtype $groups $channels 0"
            done
        done
    done <"$folder/layers"
    # Layers that no model has: softmax, odd numbers of channels and points.
    for part in 0 1 2; do
        echo "$one $part bf16 4 24 1 3 1 1
$one $part f32 2 3 1 5 0 1
$one $part f16 3 24 1 1 1 0"
    done
}

# The other inputs of a program's check, apart from its budgets.
print_conditions() {
    "$compiler" --version | grep -iE 'version|release'
    echo "$every $one"
    grep -v '^ *#' "$measure"
}

# $folder/programs with a digest before each line. The digest covers the targets through print_conditions.
print_digests() {
    print_conditions >"$folder/conditions"
    while read -r targets part dtype groups channels rest; do
        # shellcheck disable=SC2086
        print_program "$print_source" "$dialect" "$part" "$dtype" "$groups" "$channels" $rest >"$folder/text"
        without_comments <"$folder/text" >"$folder/tokens"
        awk -v dtype="$dtype" -v channels="$channels" '$2 == dtype && $3 == channels' "$budgets" >"$folder/own_budgets"
        echo "$(digest "$folder/conditions" "$folder/own_budgets" "$folder/tokens")" \
            "$targets $part $dtype $groups $channels $rest"
    done <"$folder/programs"
}

# PTX is made once for all architectures below 100, and once for the newer ones that are known: it must be the same for
# the oldest and a newest of each. (That of 103 and 121 loads a parameter of one kernel earlier.)
check_portable() {
    newer=100
    knows sm_100 || newer=
    for part in 0 1 2; do
        "$print_source" cuda $part 1 8 16 3 0 0 >"$folder/kernel.cu"
        for architecture in 75 90 $newer ${newer:+120}; do
            "$compiler" -w -ptx "-arch=compute_$architecture" -o "$folder/kernel.ptx" "$folder/kernel.cu"
            sed '/^\.target/d' "$folder/kernel.ptx" >"$folder/$architecture.ptx"
        done
        cmp "$folder/75.ptx" "$folder/90.ptx" || fail "part $part: PTX is not the same for sm_75 and sm_90"
        [ ! "$newer" ] || cmp "$folder/100.ptx" "$folder/120.ptx" || fail "part $part: PTX differs for sm_100 and sm_120"
    done
}

# The atomic variant must use the target's native atomic additions.
check_atomic() {
    "$print_source" "$dialect" 2 0 4 32 3 0 0 1 2048 >"$folder/kernel.cu"
    if [ "$dialect" = cuda ]; then
        "$compiler" -w -ptx -arch=sm_90 -o "$folder/kernel.ptx" "$folder/kernel.cu"
        grep -q 'red\.global\.add\.v4\.f32' "$folder/kernel.ptx" || fail "sm_90: no atomic addition of four numbers"
        return
    fi
    for target in gfx90a gfx942 gfx1100 gfx1201; do
        "$compiler" -w -x hip "--offload-arch=$target" --cuda-device-only -nogpuinc -nogpulib -O3 -munsafe-fp-atomics -S \
            -o "$folder/kernel.s" "$folder/kernel.cu"
        grep -q 'global_atomic_add_f32' "$folder/kernel.s" || fail "$target: no native atomic addition"
        ! grep -q 'cmpswap' "$folder/kernel.s" || fail "$target: atomic additions by compare and exchange"
    done
}

every=''
for target in $("$print_source" "$dialect" targets); do
    ! knows "$target" || every="$every${every:+,}$target"
done
case $dialect in
cuda) one=sm_90 ;;
hip) one=gfx942,gfx1100 ;;
esac
sh "$here/list_layers.sh" "$dcnv4" >"$folder/layers"
test "$(wc -l <"$folder/layers")" -ge 18
[ "$dialect" = hip ] || check_portable
check_atomic
programs >"$folder/programs"
cp "$folder/programs" "$folder/chosen"
if [ "$budgets" ]; then
    print_digests >"$folder/digests"
    choose_programs "$record" "$folder/digests" >"$folder/chosen"
fi
xargs -P "$(nproc)" -L 1 sh "$measure" "$print_source" "$dialect" "$compiler" <"$folder/chosen" >"$folder/measured" ||
    fail "not all kernels are as they should be"

# The most registers with aligned and with misaligned buffers, and the fewest accesses with aligned ones; - if no such
# program was compiled.
awk 'NR == FNR { known[$2] = 1; next }
    !($3 in known) { next }
    { kernel = $1 " " $2 " " $3 " " $4; kernels[kernel] = 1 }
    !((kernel, $7) in most) || $5 > most[kernel, $7] { most[kernel, $7] = $5 }
    $7 && (!(kernel in least) || $6 < least[kernel]) { least[kernel] = $6 }
    function known_or_dash(table, key) { return key in table ? table[key] : "-" }
    END { for (kernel in kernels) print kernel, known_or_dash(most, kernel SUBSEP 1),
        known_or_dash(most, kernel SUBSEP 0), known_or_dash(least, kernel) }' \
    "$folder/layers" "$folder/measured" | sort >"$folder/kernels"
if [ -z "$budgets" ]; then
    awk '{ print $1, $2, $3, $4, int(($5 + 7) / 8) * 8, int(($6 + 7) / 8) * 8, $7 }' "$folder/kernels"
    exit
fi
awk '{ kernel = $1 " " $2 " " $3 " " $4 }
    NR == FNR { aligned[kernel] = $5; other[kernel] = $6; wide[kernel] = $7; next }
    !(kernel in wide) { print $0 ": has no budget"; bad = 1; next }
    $5 != "-" && !($5 <= aligned[kernel]) { print $0 ": more than " aligned[kernel] " registers where aligned"; bad = 1 }
    $6 != "-" && !($6 <= other[kernel]) { print $0 ": more than " other[kernel] " registers where not aligned"; bad = 1 }
    $7 != "-" && !($7 >= wide[kernel]) { print $0 ": fewer than " wide[kernel] " accesses of 16 bytes"; bad = 1 }
    END { exit bad }' "$budgets" "$folder/kernels"
echo "$(wc -l <"$folder/chosen") of $(wc -l <"$folder/programs") programs compiled, $(wc -l <"$folder/measured") kernels, for $every"
test "$(wc -l <"$folder/kernels")" -ge 24
keep_record "$record" "$folder/digests"
