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
PATH=$folder/bare/bin "$folder/bare/bin/python" - <<'END'
import numpy

import dcnv4.numpy

rng = numpy.random.default_rng(0)
value = rng.normal(size=(2, 6, 7, 32)).astype("float32")
offset_mask = rng.normal(size=(2, 6, 7, 56)).astype("float32")
results = [dcnv4.numpy.dcnv4(value, offset_mask, group=2, device=device) for device in ("cpu", "reference")]
assert numpy.abs(results[1]).max() > 0.1
numpy.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)
try:
    dcnv4.DCNv4
except ImportError as error:
    assert "pip install 'dcnv4[torch]'" in str(error), error
else:
    raise AssertionError("there is a PyTorch")
END
