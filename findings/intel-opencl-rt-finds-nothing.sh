#!/bin/sh
# intel-opencl-rt 2026.2.0 (PyPI), Intel's OpenCL for processors: installed by pip, it is no OpenCL platform.
#
# Programs find OpenCL drivers by .icd files, of one line with the library's path. Those of this wheel name a folder
# /opt/anaconda1anaconda2anaconda3/lib, which is there before conda replaces it; pip does not. So an OpenCL loader
# that is given the environment's folder etc/OpenCL/vendors finds no platform, and no error says why. Nor does the
# wheel require intel-cmplr-lib-rt, without which its libraries, its own libOpenCL.so.1 among them, cannot be loaded.
# With that package installed and the path in an .icd file put right, there is one platform.
#
# Expected: one platform after pip install. Seen: clGetPlatformIDs -1001 (no platform); with both put right, 1
# platform.
# Downloads 300 MB.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile intel-opencl-rt==2026.2.0
cat > "$folder/platforms.py" <<'END'
import ctypes

try:
    count = ctypes.c_uint()
    status = ctypes.CDLL("libOpenCL.so.1").clGetPlatformIDs(0, None, ctypes.byref(count))
    print(f"clGetPlatformIDs {status}, {count.value} platforms")
except OSError as error:
    print(error)
END
export LD_LIBRARY_PATH="$folder/lib" OCL_ICD_VENDORS="$folder/etc/OpenCL/vendors"

# look words expected
look() {
    said=$("$folder/bin/python" "$folder/platforms.py")
    echo "$1: $said"
    [ "$said" = "$2" ] || { echo "changed: it was $2" >&2 && exit 1; }
}
cat "$OCL_ICD_VENDORS/intel-cpu.icd"
look "as pip leaves it" "libsvml.so: cannot open shared object file: No such file or directory"
"$folder/bin/pip" install --quiet --no-compile intel-cmplr-lib-rt==2026.2.0
look "with intel-cmplr-lib-rt" "clGetPlatformIDs -1001, 0 platforms"
echo "$folder/lib/libintelocl.so" > "$OCL_ICD_VENDORS/intel-cpu.icd"
look "with the path put right" "clGetPlatformIDs 0, 1 platforms"
