#!/bin/sh
# NVRTC 13.0.88 (PyPI's nvidia-cuda-nvrtc): opened by its path, it compiles nothing.
#
# NVRTC loads a second library, libnvrtc-builtins.so.13.0, from its own folder. The wheel of 13.0.88 lost the RUNPATH
# ($ORIGIN) that says so, which the others have: nvrtcCompileProgram answers 7 (NVRTC_ERROR_BUILTIN_OPERATION_FAILURE)
# for any kernel, and only the program's log says why. It works once a caller has loaded the second library itself.
#
# Expected: 0. Seen: 13.0.88: 7, and 0 with the second library loaded before; 12.9.86: 0.
# By hand: 13.1 to 13.5 and 11.8 as 12.9.86. Needs readelf to show the RUNPATH. Downloads 180 MB.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cat > "$folder/compile.py" <<'END'
import ctypes
import sys

for before in sys.argv[2:]:
    ctypes.CDLL(before)
nvrtc = ctypes.CDLL(sys.argv[1])
program, size = ctypes.c_void_p(), ctypes.c_size_t()
option = (ctypes.c_char_p * 1)(b"--gpu-architecture=compute_75")
nvrtc.nvrtcCreateProgram(ctypes.byref(program), b"__global__ void one(float *x) { *x = 1; }", b"one.cu", 0, None, None)
done = nvrtc.nvrtcCompileProgram(program, 1, option)
nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
log = ctypes.create_string_buffer(size.value + 1)
nvrtc.nvrtcGetProgramLog(program, log)
print(f"nvrtcCompileProgram {done}", log.value.decode().split("\n")[0])
END

# look words expected library…
look() {
    words=$1 expected=$2
    shift 2
    said=$(python3 "$folder/compile.py" "$@")
    echo "$words: $said"
    case $said in
    "$expected"*) ;;
    *) echo "changed: it was $expected" >&2 && exit 1 ;;
    esac
}
python3 -m venv "$folder/pip"
"$folder/pip/bin/pip" install --quiet --no-deps --target "$folder/12.9" nvidia-cuda-nvrtc-cu12==12.9.86
"$folder/pip/bin/pip" install --quiet --no-deps --target "$folder/13.0" nvidia-cuda-nvrtc==13.0.88
new=$folder/13.0/nvidia/cu13/lib
readelf -d "$new/libnvrtc.so.13" | grep -E 'RUNPATH|RPATH' || echo "libnvrtc.so.13 has no RUNPATH"
look "12.9.86" "nvrtcCompileProgram 0" "$folder/12.9/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"
look "13.0.88" "nvrtcCompileProgram 7 nvrtc: error: failed to open libnvrtc-builtins.so.13.0" "$new/libnvrtc.so.13"
look "13.0.88, the other loaded before" "nvrtcCompileProgram 0" "$new/libnvrtc.so.13" "$new/libnvrtc-builtins.so.13.0"
