# Sourced by the other scripts of this folder: decides which programs have to be compiled.
#
# The same compiler makes the same code from the same text. So a program that passed need not be compiled again until
# its text (without comments), its compiler and targets, the scripts that measure it, or its budgets change.
# recorded_*.txt has one digest of all these for each program. Programs whose digest is not recorded are compiled, and
# always one in 24 of the others, those with the smallest digests, since a record may be wrong. DCNV4_RESOURCES
# changes that:
#   all      compile every program
#   record   compile what is not recorded and, if all is well, rewrite the record (after a change of the kernels):
#            DCNV4_RESOURCES=record ctest --preset gcc -R '^resources'
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)

# print_program PRINT_SOURCE DIALECT PART DTYPE GROUPS CHANNELS ALIGNED [KERNEL SOFTMAX DETERMINISTIC]: prints its text.
print_program() {
    case $4 in
    f32) number=0 ;;
    f16) number=1 ;;
    bf16) number=2 ;;
    esac
    "$1" "$2" "$3" "$number" "$5" "$6" "${8:-3}" "${9:-0}" "${10:-0}" "$7"
}

# without_comments: removes comments and layout from C text on stdin; macros and conditions are not expanded.
without_comments() {
    "${CC:-cc}" -w -fpreprocessed -dD -E -P -x c -
}

# digest FILE…: 16 digits of a digest of their contents.
digest() {
    cat "$@" | sha256sum | cut -c 1-16
}

# choose_programs RECORD DIGESTS: DIGESTS has lines "digest targets program"; prints those to compile, without the
# digest.
choose_programs() {
    awk 'FILENAME == ARGV[1] { recorded[$1]; next } { print ($1 in recorded), $0 }' "$1" "$2" | sort -k 1,2 >"$folder/all"
    grep '^0' "$folder/all" >"$folder/unrecorded" || true
    grep '^1' "$folder/all" >"$folder/recorded" || true
    sample=$((($(wc -l <"$folder/recorded") + 23) / 24))
    [ "${DCNV4_RESOURCES:-}" != all ] || sample=$(wc -l <"$folder/recorded")
    head -n "$sample" "$folder/recorded" | cat "$folder/unrecorded" - | cut -d ' ' -f 3-
}

# keep_record RECORD DIGESTS: call it once all checks have passed.
keep_record() {
    if [ "${DCNV4_RESOURCES:-}" = record ]; then
        grep '^#' "$1" >"$folder/record"
        cut -d ' ' -f 1,3- "$2" >>"$folder/record"
        cp "$folder/record" "$1"
    elif [ -s "$folder/unrecorded" ]; then
        echo "$(wc -l <"$folder/unrecorded") programs are new or changed. Every run compiles them until they are recorded:"
        echo "DCNV4_RESOURCES=record ctest --preset gcc -R '^resources'"
    fi
}
