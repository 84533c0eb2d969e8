#!/bin/sh
# wheel.sh ROOT FOLDER: makes the wheel for this machine (ci/wheels) and uses it where there is NumPy alone: no PyTorch, no
# compiler and no CMake in PATH. Ends with 77 if pip gets no packages.
set -eu
root=$1 folder=$2
rm -rf "$folder"
mkdir -p "$folder"
python3 -m venv "$folder/bare"
"$folder/bare/bin/pip" --quiet --disable-pip-version-check install numpy || exit 77
"$root/ci/wheels" "$folder/wheels" linux_x86_64
cd "$folder"
unset PYTHONPATH DCNV4_LIBRARY
PATH=$folder/bare/bin "$folder/bare/bin/pip" --quiet --disable-pip-version-check install --no-index wheels/*.whl
PATH=$folder/bare/bin "$folder/bare/bin/python" "$root/tests/platforms/use_wheel.py"
