"""Both operators in the oldest NumPy, ONNX Runtime and JAX that the package takes, without PyTorch: python oldest_frameworks.py

A program, not pytest's, since it runs in a Python of its own (ci/oldest). Ends with a line for each framework."""

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
from onnx_files import FLOATS, node_model, session

import dcnv4
import dcnv4.jax
import dcnv4.numpy

GROUP, SHAPES, POINTS = 4, [[4, 5], [2, 3]], 3
random = np.random.default_rng(5)


def draw(*shape):
    return random.standard_normal(shape).astype(np.float32)


CONV = draw(2, 6, 7, 32), draw(2, 6, 7, 112)
ATTENTION = draw(2, 26, 4, 8), random.random((2, 9, 4, 2, POINTS, 2)).astype(np.float32), draw(2, 9, 4, 2, POINTS)


def right(function, *arrays, **settings):
    return function(*(array.astype(np.float64) for array in arrays), device="reference", **settings)


def close(found, expected, what):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-4, err_msg=what)


def in_numpy():
    close(dcnv4.numpy.dcnv4(*CONV, group=GROUP), CONV_OUTPUT, "dcnv4")
    close(dcnv4.numpy.ms_deform_attn(ATTENTION[0], SHAPES, *ATTENTION[1:]), ATTENTION_OUTPUT, "attention")


def in_onnxruntime():
    def run(name, attributes, **inputs):
        dtypes = {"float32": FLOATS["float32"], "int64": 7}
        given = [(key, dtypes[str(array.dtype)], array.shape) for key, array in inputs.items()]
        (output,) = session(node_model(name, given, FLOATS["float32"], **attributes)).run(None, inputs)
        return output

    output = run("DCNv4", dict(group=GROUP, kernel_size=[3, 3]), value=CONV[0], offset_mask=CONV[1])
    close(output, CONV_OUTPUT, "DCNv4")
    shapes, starts = np.array(SHAPES, np.int64), np.array([0, 20], np.int64)
    value, locations, weights = ATTENTION
    output = run("MSDeformAttn", {}, value=value, shapes=shapes, starts=starts, locations=locations, weights=weights)
    close(output, ATTENTION_OUTPUT, "MSDeformAttn")


def in_jax():
    def conv(value, offset_mask):
        return dcnv4.jax.dcnv4(value, offset_mask, group=GROUP)

    def attend(value, locations, weights):
        return dcnv4.jax.ms_deform_attn(value, SHAPES, locations, weights)

    close(conv(*CONV), CONV_OUTPUT, "dcnv4")
    close(jax.jit(conv)(*CONV), CONV_OUTPUT, "dcnv4, jit")
    close(jax.vmap(conv)(*(array[:, None] for array in CONV))[:, 0], CONV_OUTPUT, "dcnv4, vmap")
    close(jax.jit(attend)(*ATTENTION), ATTENTION_OUTPUT, "attention")
    grad_output = draw(*CONV_OUTPUT.shape)
    found = jax.grad(lambda *arrays: jnp.vdot(conv(*arrays), grad_output), argnums=(0, 1))(*CONV)
    for one, expected in zip(found, right(dcnv4.numpy.dcnv4_backward, grad_output, *CONV, group=GROUP)):
        close(one, expected, "dcnv4, gradients")


CONV_OUTPUT = right(dcnv4.numpy.dcnv4, *CONV, group=GROUP)
ATTENTION_OUTPUT = right(
    lambda value, locations, weights, device: dcnv4.numpy.ms_deform_attn(
        value, SHAPES, locations, weights, device=device
    ),
    *ATTENTION,
)
if __name__ == "__main__":
    for module, check in ((np, in_numpy), (onnxruntime, in_onnxruntime), (jax, in_jax)):
        check()
        print(module.__name__, module.__version__)
