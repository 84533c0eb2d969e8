# What the scripts of this folder share; they source it. It says which programs have to be compiled.
#
# The same compiler makes the same code of the same text. So a program that was compiled and found good need not be compiled
# again until its text (comments aside), its compiler and targets, the scripts that measure it, or its budgets change. One
# digest of all these is kept for each program, in recorded_*.txt. Compiled are the programs whose digest is not there, and
# always one in eight of the others, those with the least digests, since a record may be wrong. DCNV4_RESOURCES says otherwise:
#   all      compile every program
#   record   compile what is not recorded and, if all is well, rewrite the record (after a change of the kernels):
#            DCNV4_RESOURCES=record ctest --preset gcc -R '^resources'
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)

# print_program PRINT_SOURCE DIALECT PART DTYPE GROUPS CHANNELS ALIGNED [KERNEL SOFTMAX DETERMINISTIC]: a program's text.
print_program() {
    case $4 in
    f32) number=0 ;;
    f16) number=1 ;;
    bf16) number=2 ;;
    esac
    "$1" "$2" "$3" "$number" "$5" "$6" "${8:-3}" "${9:-0}" "${10:-0}" "$7"
}

# without_comments: C text from stdin as tokens; macros and conditions stay as they are.
without_comments() {
    "${CC:-cc}" -w -fpreprocessed -dD -E -P -x c -
}

# digest FILE…: of their contents, 16 digits of it.
digest() {
    cat "$@" | sha256sum | cut -c 1-16
}

# choose_programs RECORD DIGESTS: of lines "digest targets program", those that have to be compiled, without the digest.
choose_programs() {
    awk 'FILENAME == ARGV[1] { recorded[$1]; next } { print ($1 in recorded), $0 }' "$1" "$2" | sort -k 1,2 >"$folder/all"
    grep '^0' "$folder/all" >"$folder/unrecorded" || true
    grep '^1' "$folder/all" >"$folder/recorded" || true
    sample=$((($(wc -l <"$folder/recorded") + 7) / 8))
    [ "${DCNV4_RESOURCES:-}" != all ] || sample=$(wc -l <"$folder/recorded")
    head -n "$sample" "$folder/recorded" | cat "$folder/unrecorded" - | cut -d ' ' -f 3-
}

# keep_record RECORD DIGESTS: after all is well.
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
