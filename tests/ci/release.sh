#!/bin/sh
# ci/release in a copy of the tree: what it refuses, and that its archives are the same bytes for another user in another folder.
#   release.sh ROOT WORK
# Ends with 77 outside a git repository, or where there is nothing that makes the sdist (ci/wheels installs it).
set -eu
root=$1
git -C "$root" rev-parse HEAD >/dev/null 2>&1 || { echo "not a git repository"; exit 77; }
[ -x "$root/build-wheels/bin/python" ] || { echo "there is no build-wheels; ci/wheels makes it"; exit 77; }
rm -rf "$2"
mkdir -p "$2/one"
work=$(cd "$2" && pwd)
(cd "$root" && git ls-files -z | xargs -0 ls -d 2>/dev/null | tar -cf - -T -) | tar -xf - -C "$work/one"
cd "$work/one"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
version=$(sed -nE 's/^#define DCNV4_VERSION_[A-Z]+ ([0-9]+)$/\1/p' include/dcnv4/runtime.h | paste -sd .)

commit() {
    git add --all
    git commit --quiet --allow-empty --message "$1"
}
git init --quiet
echo build-wheels >>.git/info/exclude
ln -s "$root/build-wheels" build-wheels
sed -i "0,/^## \[/s/^## \[.*/## [$version] - 2026-01-31/" CHANGELOG.md
sh tests/api/abidiff.sh store .
commit "a release"
ci/release check

wrong=0
# refuses SENTENCE: and makes no tag. Afterwards the tree is as it was.
refuses() {
    if ci/release check >said 2>&1; then
        echo "not refused: $1"
        wrong=1
    elif ! grep -qF "ci/release: $1" said; then
        echo "not said: $1"
        cat said
        wrong=1
    fi
    git reset --quiet --hard start
    git clean --quiet -d --force
}
git branch start
echo more >>README.md
refuses "the work tree has changes that are not committed"
echo more >another_file
refuses "the work tree has changes that are not committed"
sed -i "s/^## \[$version\] .*/## [$version] - unreleased/" CHANGELOG.md
commit "no date"
refuses "CHANGELOG.md has no dated section \"## [$version] - YYYY-MM-DD\""
sed -i "s/^## \[$version\]/## [99.0.0]/" CHANGELOG.md
commit "no section"
refuses "CHANGELOG.md says nothing of $version"
printf '%s\n' "DCNV4_API int dcnv4_planted(void);" "int dcnv4_planted(void) { return 0; }" >>core/status.c
commit "another interface"
refuses "tests/api/dcnv4.abi is not the interface of $version"
commit "another commit"
git tag "v$version"
git reset --quiet --hard start
refuses "the tag v$version names another commit"
git tag --delete "v$version" >/dev/null

umask 022
ci/release sources "$work/archives_one"
(
    umask 077
    git clone --quiet "$work/one" "$work/two"
    cd "$work/two"
    echo build-wheels >>.git/info/exclude
    ln -s "$root/build-wheels" build-wheels
    ci/release sources "$work/archives_two"
)
[ "$(ls "$work/archives_one")" = "dcnv4-$version-source.tar.gz
dcnv4-$version.tar.gz" ] || { echo "there are other archives"; wrong=1; }
diff -r "$work/archives_one" "$work/archives_two" || wrong=1
# The sdist has all that a build can read: wheels are built from the same folder.
tar -tzf "$work/archives_one/dcnv4-$version.tar.gz" | sed 's,^[^/]*/,,' | grep -vxE 'PKG-INFO|' | sort >"$work/in_sdist"
(cd "$work/two/bindings/python" && find -L . -name tests -prune -o -path './library/backends/*/README.md' -prune -o -type f -print) |
    sed 's,^\./,,' | sort >"$work/wanted"
diff "$work/wanted" "$work/in_sdist" || { echo "< is missing in the sdist, > is not wanted there"; wrong=1; }
exit $wrong
