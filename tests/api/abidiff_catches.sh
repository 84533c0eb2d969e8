#!/bin/sh
# abidiff.sh check must find each of these breaks in a copy of the tree, and pass the additions.
#   abidiff_catches.sh ROOT WORK
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$2"
mkdir -p "$2/tree"
work=$(cd "$2" && pwd)
cd "$1"
tar -cf - include core backends/backends.def | tar -xf - -C "$work/tree"
cd "$work"
wrong=0

# plant WANTED WHAT FILE SED-SCRIPT: the check must say WANTED, red or green, after this edit.
plant() {
    cp "tree/$3" kept
    sed -i -E "$4" "tree/$3"
    if cmp -s kept "tree/$3"; then
        echo "$2: the edit changes nothing in $3"
        wrong=1
    fi
    said=green
    sh "$here/abidiff.sh" check tree >said 2>&1 || said=red
    if [ $said != "$1" ] || { [ $said = red ] && ! grep -q "^Programs that were built" said; }; then
        echo "$2: is $said, not $1"
        cat said
        wrong=1
    fi
    mv kept "tree/$3"
}

header=include/dcnv4/runtime.h
plant red "a function less" core/status.c 's/^const char \*dcnv4_status_name\(/const char *dcnv4i_name(/'
plant red "another type of a parameter" $header 's/size_t offset;/int32_t offset;/'
plant red "a member in the middle" include/dcnv4/deform_conv.h 's/^    int64_t points; .*/    int64_t planted;\n&/'
plant red "a member less" $header 's/^    int64_t spill_bytes;.*//'
plant red "another number of a constant" $header 's/(DCNV4_FLOAT16 = )1/\19/'
plant red "a constant less" include/dcnv4/ms_deform_attn.h 's/^    DCNV4_MSDA_PLACES = 1,.*//'
plant red "another soname" $header 's/^(#define DCNV4_VERSION_MINOR) .*/\1 99/'
plant green "a function more" core/status.c '$a DCNV4_API int dcnv4_planted(void);\nint dcnv4_planted(void) { return 0; }'
plant green "a constant more" $header 's/^\} dcnv4_dtype;/    , DCNV4_PLANTED = 77\n&/'
plant green "a member more" include/dcnv4/deform_conv.h 's/^\} dcnv4_sizes;/    int64_t planted;\n&/'
[ $wrong = 0 ]
