#!/bin/sh
# Uses the library as another project would, in a folder of its own.
#   consume.sh HOW SOURCE BUILD WORK VERSION
#     find_package     CMake, against an installation of BUILD
#     pkg_config       the compiler alone, against an installation of BUILD
#     moved            the compiler alone and CMake, after the installation was moved
#     fetch_content    an archive of the sources, fetched and built by the user's project, shared
#     static           the sources as a part of the user's project, static, installed, and found by CMake and pkg-config
#     debian           the compiler alone, against the Debian packages of BUILD, unpacked
# CC and CXX are the compilers.
set -eu
how=$1 source=$2 build=$3 work=$4 version=$5
project=$source/tests/consumers/project
: "${CC:=cc}" "${CXX:=c++}"
export CC CXX
# Nothing else that is installed on this machine may be found.
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH LD_LIBRARY_PATH || true

rm -rf "$work"
mkdir -p "$work"
cd "$work"

quietly() { # runs a command; shows what it said if it fails
    "$@" >log 2>&1 || { cat log; echo "failed: $*"; exit 1; }
}

# configure_and_run CMAKE-OPTION…: the user's project, in both languages.
configure_and_run() {
    rm -rf stranger
    # Without optimising the library, where it is built here, takes a sixth of the time.
    quietly cmake -S "$project" -B stranger -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O0 "$@"
    quietly cmake --build stranger --parallel 2
    run stranger/in_c
    run stranger/in_cpp
}

# run PROGRAM…: it must print the version and the right sum.
run() {
    said=$("$@")
    echo "$said"
    [ "$said" = "dcnv4 $version: 20" ] || { echo "expected dcnv4 $version: 20"; exit 1; }
}

# with_pkg_config PREFIX STATIC: the compiler with pkg-config's flags, in both languages.
with_pkg_config() {
    libdir=$(dirname "$(find "$1" -name pkgconfig -type d)")
    export PKG_CONFIG_PATH="$libdir/pkgconfig"
    [ "$(pkg-config --modversion dcnv4)" = "$version" ] || { echo "pkg-config does not say $version"; exit 1; }
    cp "$project/stranger.c" stranger.cpp
    # shellcheck disable=SC2046 # words, on purpose
    quietly "$CC" -Wall -Wextra "$project/stranger.c" -o in_c $(pkg-config $2 --cflags --libs dcnv4)
    # shellcheck disable=SC2046
    quietly "$CXX" -Wall -Wextra stranger.cpp -o in_cpp $(pkg-config $2 --cflags --libs dcnv4)
    run env LD_LIBRARY_PATH="$libdir" ./in_c
    run env LD_LIBRARY_PATH="$libdir" ./in_cpp
}

case $how in
find_package)
    quietly cmake --install "$build" --prefix "$work/prefix"
    configure_and_run -DCMAKE_PREFIX_PATH="$work/prefix" -DDCNV4_WANTED="$version"
    # Neither a later version nor another minor one is found, since until 1.0 minor versions are incompatible.
    for wanted in 9.9 0.0; do
        if cmake -S "$project" -B wrong -DCMAKE_PREFIX_PATH="$work/prefix" -DDCNV4_WANTED=$wanted >log 2>&1; then
            echo "find_package(dcnv4 $wanted) found something"
            exit 1
        fi
    done
    # A program requires this minor version from the loader.
    name=libdcnv4.so.${version%.*}
    [ -z "$(find "$work/prefix" -name 'libdcnv4.so')" ] || readelf -d stranger/in_c | grep -F "[$name]" ||
        { echo "the program does not ask for $name"; exit 1; }
    ;;
pkg_config)
    quietly cmake --install "$build" --prefix "$work/prefix"
    with_pkg_config "$work/prefix" ""
    ;;
moved)
    quietly cmake --install "$build" --prefix "$work/first"
    mv first second
    configure_and_run -DCMAKE_PREFIX_PATH="$work/second"
    with_pkg_config "$work/second" ""
    if [ -x second/bin/dcnv4 ]; then
        second/bin/dcnv4 info
    fi
    ;;
fetch_content)
    # What the build needs is in these alone.
    tar -czf dcnv4.tar.gz -C "$source" --transform 's,^,dcnv4/,' \
        CMakeLists.txt LICENSE backends cmake core include
    configure_and_run -DDCNV4_URL="file://$work/dcnv4.tar.gz" -DBUILD_SHARED_LIBS=ON
    ;;
static)
    configure_and_run -DDCNV4_SOURCE="$source" -DBUILD_SHARED_LIBS=OFF -DDCNV4_INSTALL=ON
    quietly cmake --install stranger --prefix "$work/prefix"
    configure_and_run -DCMAKE_PREFIX_PATH="$work/prefix"
    with_pkg_config "$work/prefix" --static
    if ldd in_c | grep dcnv4; then
        echo "the static program needs a shared libdcnv4"
        exit 1
    fi
    ;;
debian)
    quietly cpack --config "$build/CPackConfig.cmake" -B "$work/packages" -D CPACK_PACKAGING_INSTALL_PREFIX=/usr
    for name in libdcnv4 libdcnv4-dev dcnv4; do
        file=$(find packages -maxdepth 1 -name "${name}_${version}_*.deb")
        [ "$(dpkg-deb --field "$file" Package Version)" = "Package: $name
Version: $version" ] || { echo "$name: there is no package of this version"; exit 1; }
        dpkg-deb --extract "$file" root
        dpkg-deb --field "$file" Depends >depends
        [ $name = libdcnv4 ] || grep -F "libdcnv4 (= $version)" depends
    done
    with_pkg_config "$work/root/usr" ""
    root/usr/bin/dcnv4 --version
    test -e root/usr/share/man/man1/dcnv4.1
    ;;
*)
    echo "consume.sh: there is no way \"$how\""
    exit 1
    ;;
esac
