"""The modules exported for images of any size, by torch.export and to ONNX; and many compiled layers."""

import io
import warnings

import pytest
import torch
from conftest import close

import dcnv4
from dcnv4 import _grid, _operators

pytestmark = pytest.mark.skipif(
    not _operators.available, reason=f"PyTorch {torch.__version__} has no register_autograd"
)

LAYERS = {
    "plain": {},
    "stride": dict(stride=2),
    "scale": dict(center_feature_scale=True),
    "stride_scale": dict(stride=2, center_feature_scale=True),
    "even": dict(kernel_size=2, stride=2, padding=0),
    "even_padding": dict(kernel_size=4, stride=2, padding=1),
    "wide_padding": dict(kernel_size=5, stride=2, padding=3, dilation=1),
    "stride3": dict(stride=(3, 2)),
    "no_padding": dict(padding=0),
    "same": dict(kernel_size=2, padding="same"),
    "depthwise": dict(stride=2, dw_kernel_size=3),
    "even_depthwise": dict(kernel_size=2, stride=2, padding=0, dw_kernel_size=2),
}
SIZES = ((2, 16, 20), (3, 17, 21), (1, 15, 18))


def filled(layer):
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer.eval()


def dimensions():
    """Dynamic axes by name: any batch, height and width from 7 on."""
    Dim = torch.export.Dim
    return {0: Dim("n", min=1), 2: Dim("h", min=7), 3: Dim("w", min=7)}


@pytest.mark.parametrize("name", LAYERS)
def test_export_takes_every_size(name):
    """Odd and even sizes, whatever the example's size was."""
    if not hasattr(torch.export.Dim, "AUTO"):
        pytest.skip(f"PyTorch {torch.__version__}'s export, which has no Dim.AUTO, cannot prove as much of the sizes")
    layer = filled(dcnv4.DCNv4Conv2d(8, 8, group=2, **LAYERS[name]))
    program = torch.export.export(layer, (torch.randn(2, 8, 16, 21),), dynamic_shapes=(dimensions(),), strict=False)
    for batch, *size in SIZES:
        x = torch.randn(batch, 8, *size)
        close(program.module()(x), layer(x), 1e-6)


@pytest.mark.parametrize("size", [(16, 20), (17, 21)])
def test_export_finds_out_what_is_dynamic(size):
    auto = getattr(torch.export.Dim, "AUTO", None)
    if auto is None:
        pytest.skip(f"PyTorch {torch.__version__} has no Dim.AUTO")
    layer = filled(dcnv4.DCNv4Conv2d(8, 8, group=2, stride=2))
    axes = ({0: auto, 2: auto, 3: auto},)
    program = torch.export.export(layer, (torch.randn(2, 8, *size),), dynamic_shapes=axes, strict=False)
    for batch, *size in SIZES:
        x = torch.randn(batch, 8, *size)
        close(program.module()(x), layer(x), 1e-6)


@pytest.mark.parametrize("strict", [False, True])
def test_export_without_shape(strict):
    """The side of a square image is symbolic, as its length is."""
    auto = getattr(torch.export.Dim, "AUTO", None)
    if _grid._sym_sqrt is None:
        pytest.skip(f"PyTorch {torch.__version__} cannot trace a square root")
    layer = filled(dcnv4.DCNv4(8, group=2))
    axes = ({0: auto, 1: auto},)
    program = torch.export.export(layer, (torch.randn(2, 36, 8),), dynamic_shapes=axes, strict=strict)
    for batch, side in ((3, 9), (2, 6), (1, 5)):
        x = torch.randn(batch, side * side, 8)
        close(program.module()(x), layer(x), 1e-6)


def test_compiled_without_shape():
    """One graph for the first size, and one for all others."""
    if _grid._sym_sqrt is None:
        pytest.skip(f"PyTorch {torch.__version__} cannot trace a square root")
    torch._dynamo.reset()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    layer = filled(dcnv4.DCNv4(8, group=2))
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    for side in (4, 5, 6, 7, 9):
        x = torch.randn(2, side * side, 8)
        close(compiled(x), layer(x), 1e-6)
    assert len(graphs) == 2


def test_many_layers_compile_each_for_itself():
    """More layers than the eight recompilations that PyTorch allows for one function."""
    import inspect

    if "recompile_limit" not in inspect.signature(torch.compile).parameters:
        pytest.skip(f"PyTorch {torch.__version__}'s torch.compile has no recompile_limit")
    torch._dynamo.reset()
    for channels in range(4, 48, 4):
        layer = filled(dcnv4.DCNv4Conv2d(channels, 8, stride=1 + channels % 8 // 4))
        x = torch.randn(2, channels, 9, 9)
        expected = layer(x)
        layer.compile(backend="eager", fullgraph=True)
        close(layer(x), expected, 1e-6)


def onnx_file(layer, x, dynamo):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(layer, (x,), dynamo=True, verbose=False, dynamic_shapes=(dimensions(),))
            program.save(file)
        else:
            given = {} if torch.__version__ < "2.5" else {"dynamo": False}
            axes = {"x": {0: "n", 2: "h", 3: "w"}}
            torch.onnx.export(
                layer, (x,), file, opset_version=16, input_names=["x"], output_names=["y"], dynamic_axes=axes, **given
            )
    return file.getvalue()


@pytest.mark.parametrize("name, dynamo", [*((name, False) for name in LAYERS), ("stride_scale", True)])
def test_onnx(name, dynamo):
    """Both of PyTorch's exporters; ONNX Runtime runs at other sizes than the example's."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, which runs the files, is not installed")
    pytest.importorskip("onnx", reason="onnx, which PyTorch's exporters need, is not installed")
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript, which torch.onnx's exporter needs, is not installed")
    layer = filled(dcnv4.DCNv4Conv2d(8, 8, group=2, **LAYERS[name]))
    layer.operator = dcnv4.reference.dcnv4
    session = runtime.InferenceSession(
        onnx_file(layer, torch.randn(2, 8, 16, 21), dynamo), providers=["CPUExecutionProvider"]
    )
    for batch, *size in SIZES:
        x = torch.randn(batch, 8, *size)
        (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        close(torch.from_numpy(y), layer(x).detach(), 1e-5)
