#!/bin/sh
# check_spills.sh PRINT_SOURCE DCNV4 [all]: compiles layers of the models with NVRTC, whose assembler may be another than
# nvcc's, as plans do, in every dtype, for all of NVIDIA's targets; nothing may spill. The layers are those with the fewest and
# the most groups of each number of channels, or all of them, which takes a quarter of an hour of two processors.
set -eu
export LC_ALL=C
print_source=$1 dcnv4=$2 which=${3:-some}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

targets=$("$print_source" cuda targets | paste -s -d , -)
sh "$(dirname "$0")/list_layers.sh" "$dcnv4" >"$folder/layers"
test "$(wc -l <"$folder/layers")" -ge 18
[ "$which" = all ] || awk '!($2 in fewest) { fewest[$2] = $1 } { most[$2] = $1 }
    END { for (channels in fewest) print fewest[channels], channels "\n" most[channels], channels }' \
    "$folder/layers" >"$folder/some"
while read -r groups channels; do
    for dtype in f32 f16 bf16; do
        echo "$groups $channels $dtype"
    done
done <"$folder/$([ "$which" = all ] && echo layers || echo some)" >"$folder/programs"

# Targets that this NVRTC does not know are said to be so, and left out.
compile='"$0" compile --target "$1" --groups "$3" --group-channels "$4" --dtype "$5" --output "$2/kernels-$3-$4-$5" \
    --format json 2>"$2/errors-$3-$4-$5" | sed "s/^{/$3 groups of $4, $5: /" || true'
xargs -P "$(nproc)" -L 1 sh -c "$compile" "$dcnv4" "$targets" "$folder" <"$folder/programs" >"$folder/kernels"
! grep '"spill_bytes": [^0]' "$folder/kernels" || exit 1
programs=$(wc -l <"$folder/programs") kernels=$(grep -c '"spill_bytes": 0,' "$folder/kernels")
echo "$programs layers and dtypes, $kernels kernels without spills"
[ "$kernels" -ge $((programs * 8 * 5)) ] || {
    cat "$folder"/errors-*
    exit 1
}
