"""Uses an installed wheel where there is NumPy and no PyTorch, and prints where that is."""
import platform

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
features = next(device["features"] for device in dcnv4.devices() if device["name"] == "cpu")
libc = " ".join(platform.libc_ver())
print(f"right on {platform.machine()} ({features}), {libc}, Python {platform.python_version()}, NumPy {numpy.__version__}")
