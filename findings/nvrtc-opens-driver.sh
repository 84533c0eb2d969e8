#!/bin/sh
# NVRTC 12.9.86: compiling a kernel loads the GPU's driver and initialises it, which 12.8.93 did not.
#
# NVRTC compiles text; the machine needs no GPU. From 12.9 on, the first nvrtcCompileProgram of a process opens
# libcuda.so.1 and calls cuInit(0), even if nothing but PTX for compute_75 is asked for. A process that only compiles
# then has a driver in it, with all that follows for a later fork(). The code that comes out is the same. It is for a
# cache of compiled code: the option --no-cache stops it; the environment's CUDA_CACHE_DISABLE=1 does not. 12.8 does
# not know the option.
#
# Here libcuda.so.1 is a stand-in of one function, which says that it was called and that there is no device.
# Expected: no call. Seen: 12.8.93: none; 12.9.86: cuInit(0), with CUDA_CACHE_DISABLE=1 too; with --no-cache: none.
# By hand: 13.0.88 and 13.5.37 as 12.9.86, and the same cubin with --no-cache (12.9.86, 13.5.37). Needs gcc.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$folder/driver"
gcc -shared -fPIC -x c -o "$folder/driver/libcuda.so.1" - <<'END'
#include <stdio.h>

int cuInit(unsigned flags) {
    printf("  cuInit(%u) is called\n", flags);
    return fflush(stdout), 100; /* CUDA_ERROR_NO_DEVICE */
}
END
cat > "$folder/compile.py" <<'END'
import ctypes
import sys

nvrtc, *options = sys.argv[1:]
nvrtc = ctypes.CDLL(nvrtc)
text = b"__global__ void one(float *x) { *x = 1; }"
options = [option.encode() for option in ("--gpu-architecture=compute_75", *options)]
program = ctypes.c_void_p()
made = nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"one.cu", 0, None, None)
done = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
print(f"  nvrtcCreateProgram {made}, nvrtcCompileProgram {done}", flush=True)
END

# compile version [option…]: prints and keeps what the process said
compile() {
    library=$folder/$1/nvidia/cuda_nvrtc/lib/libnvrtc.so.12
    shift
    LD_LIBRARY_PATH=$folder/driver python3 "$folder/compile.py" "$library" "$@" | tee "$folder/said"
}
quiet() { ! grep -q cuInit "$folder/said" && grep -q 'nvrtcCompileProgram 0' "$folder/said"; }
initialises() { grep -q 'cuInit(0)' "$folder/said" && grep -q 'nvrtcCompileProgram 0' "$folder/said"; }
changed() { echo "changed: $1" >&2 && exit 1; }

python3 -m venv "$folder/pip"
for version in 12.8.93 12.9.86; do
    "$folder/pip/bin/pip" install --quiet --no-deps --target "$folder/$version" "nvidia-cuda-nvrtc-cu12==$version"
done
echo "NVRTC 12.8.93:" && compile 12.8.93 && quiet || changed "12.8.93 initialises the driver"
echo "NVRTC 12.9.86:" && compile 12.9.86 && initialises || changed "12.9.86 does not initialise the driver"
export CUDA_CACHE_DISABLE=1
echo "NVRTC 12.9.86, CUDA_CACHE_DISABLE=1:" && compile 12.9.86 && initialises || changed "CUDA_CACHE_DISABLE=1 stops it"
unset CUDA_CACHE_DISABLE
echo "NVRTC 12.9.86 --no-cache:" && compile 12.9.86 --no-cache && quiet || changed "--no-cache does not stop it"
