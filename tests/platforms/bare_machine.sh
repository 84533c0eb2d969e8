#!/bin/sh
# bare_machine.sh WHEEL [SUITE]: uses a wheel for Linux, x86-64 or AArch64, on a Debian SUITE (bullseye without one) that has
# Python, pip and NumPy and no compiler. By hand, since it wants root, debootstrap and downloads; for AArch64 qemu-user too.
set -eu
wheel=$1 suite=${2:-bullseye} packages=python3,python3-numpy,python3-pip
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

# python ARGUMENT…: the Python of that system, for which its folder /root is called $home.
case $wheel in
*linux*_x86_64.whl)
    debootstrap --variant=minbase --include=$packages "$suite" "$root"
    home=/root
    python() {
        chroot "$root" env PYTHONPATH=$home/installed python3 "$@"
    }
    ;;
*linux*_aarch64.whl) # the packages are unpacked, and not set up, so that the linear algebra is found by its folder
    debootstrap --foreign --arch=arm64 --variant=minbase --include=$packages "$suite" "$root"
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    home=$root/root algebra=/usr/lib/aarch64-linux-gnu
    python() {
        qemu-aarch64 -L "$root" -E "LD_LIBRARY_PATH=$algebra/blas:$algebra/lapack" -E "PYTHONPATH=$home/installed" \
            "$root/usr/bin/python3" "$@"
    }
    ;;
*)
    echo "bare_machine.sh: $wheel is no wheel for Linux on x86-64 or AArch64" >&2
    exit 2
    ;;
esac

for tool in cc gcc clang cmake; do
    [ ! -e "$root/usr/bin/$tool" ] || {
        echo "bare_machine.sh: there is a $tool" >&2
        exit 1
    }
done
cp "$wheel" "$here/use_wheel.py" "$root/root"
python -m pip install --no-index --target "$home/installed" "$home/$(basename "$wheel")"
python "$home/use_wheel.py"
