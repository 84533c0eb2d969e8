#!/bin/sh
# gcc 12.2.0 (Debian 12: gcc-12 and cpp-12 12.2.0-14+deb12u1), -O2: calls of a function that does nothing but prefetch are
# removed, also of one that is noinline. The program is right and its prefetches are gone.
#
# gcc documents that __builtin_prefetch moves data into a cache before it is accessed, and never faults; not that it counts
# as nothing. But a function of prefetches alone is taken for one without effects (by modref: -fno-ipa-modref keeps the
# calls), and the loop that calls it ends as an empty one. Inlined, the same prefetches stay. So moving them into a
# function of their own, to keep their addresses out of a loop's registers, silently takes them out of the program.
#
# Expected: 2 prefetches in each of the three. Seen: 0 where the function is called; 2 where it is inlined, and 2 where it
# is called and has an empty asm statement. Needs apt-get with Debian 12's packages, dpkg, and the libraries that an
# installed gcc has.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
(cd "$folder" && apt-get download -q gcc-12=12.2.0-14+deb12u1 cpp-12=12.2.0-14+deb12u1 >/dev/null 2>&1)
for package in "$folder"/*.deb; do
    dpkg -x "$package" "$folder/root"
done
cat > "$folder/walk.c" <<'END_OF_C'
static HOW void ahead(const char *row) {
    KEEP
    __builtin_prefetch(row);
    __builtin_prefetch(row + 64);
}
void walk(const char *row, long rows) {
    for (long i = 0; i < rows; i++)
        ahead(row + 256 * i);
}
END_OF_C
# prefetches OPTION…: how many instructions of walk prefetch.
prefetches() {
    "$folder/root/usr/bin/x86_64-linux-gnu-gcc-12" -B "$folder/root/usr/lib/gcc/x86_64-linux-gnu/12/" -O2 -S -o - "$@" \
        "$folder/walk.c" | grep -c prefetch || true
}
"$folder/root/usr/bin/x86_64-linux-gnu-gcc-12" --version | head -1
called=$(prefetches '-DHOW=__attribute__((noinline))' -DKEEP=)
inlined=$(prefetches '-DHOW=__attribute__((always_inline)) inline' -DKEEP=)
kept=$(prefetches '-DHOW=__attribute__((noinline))' '-DKEEP=__asm__ volatile("");')
echo "called: $called, inlined: $inlined, called, with an empty asm: $kept"
if [ "$called $inlined $kept" != "0 2 2" ]; then
    echo "changed: it was 0, 2 and 2" >&2
    exit 1
fi
