#!/bin/sh
# check_spills.sh PRINT_SOURCE DCNV4 NVRTC [all]: compiles layers of the models with NVRTC as plans do, since its
# assembler may differ from nvcc's, in every dtype, for all of NVIDIA's targets; nothing may spill. The layers are those
# with the fewest and the most groups for each number of channels, or all, which takes a quarter of an hour of two
# processors. programs.sh says which of them are compiled.
set -eu
. "$(dirname "$0")/programs.sh"
print_source=$1 dcnv4=$2 nvrtc=$3 which=${4:-some}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

targets=$("$print_source" cuda targets | paste -s -d , -)
sh "$here/list_layers.sh" "$dcnv4" >"$folder/layers"
test "$(wc -l <"$folder/layers")" -ge 18
[ "$which" = all ] || awk '!($2 in fewest) { fewest[$2] = $1 } { most[$2] = $1 }
    END { for (channels in fewest) print fewest[channels], channels "\n" most[channels], channels }' \
    "$folder/layers" >"$folder/some"
while read -r groups channels; do
    for dtype in f32 f16 bf16; do
        echo "$targets $groups $channels $dtype"
    done
done <"$folder/$([ "$which" = all ] && echo layers || echo some)" >"$folder/programs"

# The other inputs of a program's check: NVRTC, and how it is called.
print_conditions() {
    "$print_source" cuda targets
    sha256sum <"$nvrtc"
    without_comments <"$here/../../backends/cuda/nvrtc.c"
    grep -v '^ *#' "$0"
}
print_conditions >"$folder/conditions"
while read -r _ groups channels dtype; do
    for part in 0 1 2; do
        for aligned in 0 1; do
            print_program "$print_source" cuda "$part" "$dtype" "$groups" "$channels" "$aligned" >"$folder/text"
            without_comments <"$folder/text"
        done
    done >"$folder/tokens"
    echo "$(digest "$folder/conditions" "$folder/tokens") $targets $groups $channels $dtype"
done <"$folder/programs" >"$folder/digests"
record=$here/recorded_nvrtc.txt
choose_programs "$record" "$folder/digests" >"$folder/chosen"

# The command reports and skips targets that this NVRTC does not know.
compile='"$0" compile --target "$2" --groups "$3" --group-channels "$4" --dtype "$5" --output "$1/kernels-$3-$4-$5" \
    --format json 2>"$1/errors-$3-$4-$5" | sed "s/^{/$3 groups of $4, $5: /" || true'
xargs -P "$(nproc)" -L 1 sh -c "$compile" "$dcnv4" "$folder" <"$folder/chosen" >"$folder/kernels"
! grep '"spill_bytes": [^0]' "$folder/kernels" || exit 1
programs=$(wc -l <"$folder/chosen") kernels=$(grep -c '"spill_bytes": 0,' "$folder/kernels")
echo "$programs of $(wc -l <"$folder/programs") layers and dtypes compiled, $kernels kernels without spills"
[ "$kernels" -ge $((programs * 8 * 5)) ] || {
    cat "$folder"/errors-*
    exit 1
}
keep_record "$record" "$folder/digests"
