"""`import dcnv4.compat`: code, models and pickles that name the original's package DCNv4."""

import copy
import importlib
import io
import pickle
import subprocess
import sys
import textwrap
import types
import warnings

import pytest
import torch
from conftest import ROOT
from torch import nn

import dcnv4

# The parts of the original's module that pickles contain: names, attributes, parameters.
ORIGINAL = """
    import math, torch
    from torch import nn

    class CenterFeatureScaleModule(nn.Module):
        pass

    class DCNv4(nn.Module):
        def __init__(self, channels=64, kernel_size=3, stride=1, pad=1, dilation=1, group=4, offset_scale=1.0,
                     dw_kernel_size=None, center_feature_scale=False, remove_center=False, output_bias=True,
                     without_pointwise=False):
            super().__init__()
            self.channels, self.kernel_size, self.stride, self.pad = channels, kernel_size, stride, pad
            self.dilation, self.group, self.group_channels = dilation, group, channels // group
            self.offset_scale, self.dw_kernel_size = offset_scale, dw_kernel_size
            self.center_feature_scale, self.remove_center = center_feature_scale, int(remove_center)
            self.without_pointwise = without_pointwise
            self.K = group * (kernel_size * kernel_size - self.remove_center)
            if dw_kernel_size is not None:
                padding = (dw_kernel_size - 1) // 2
                self.offset_mask_dw = nn.Conv2d(channels, channels, dw_kernel_size, 1, padding, groups=channels)
            self.offset_mask = nn.Linear(channels, math.ceil(3 * self.K / 8) * 8)
            if not without_pointwise:
                self.value_proj = nn.Linear(channels, channels)
                self.output_proj = nn.Linear(channels, channels, bias=output_bias)
            if center_feature_scale:
                self.center_feature_scale_proj_weight = nn.Parameter(torch.randn(group, channels))
                self.center_feature_scale_proj_bias = nn.Parameter(torch.randn(group))
                self.center_feature_scale_module = CenterFeatureScaleModule()
"""

CASES = (
    dict(),
    dict(channels=32, group=2, kernel_size=5, pad=2, offset_scale=0.5, remove_center=True, output_bias=False),
    dict(channels=48, group=3, dw_kernel_size=3, center_feature_scale=True),
    dict(channels=32, group=2, pad=2, dilation=2, dw_kernel_size=5, without_pointwise=True),
)


def forget():
    """Removes all modules of that name, as if they had not been imported."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("DCNv4", "MultiScaleDeformableAttention", "mmcv") or name == "dcnv4.compat":
            del sys.modules[name]
    vars(dcnv4).pop("compat", None)
    importlib.invalidate_caches()


@pytest.fixture(autouse=True)
def forgotten():
    forget()
    yield
    forget()


def import_compat():
    return importlib.import_module("dcnv4.compat")


@pytest.fixture
def original(tmp_path):
    """A folder with a package DCNv4 that has the original's layout."""
    files = {
        "__init__.py": "from .modules import DCNv4",
        "modules/__init__.py": "from .dcnv4 import DCNv4",
        "modules/dcnv4.py": textwrap.dedent(ORIGINAL),
    }
    for name, text in files.items():
        path = tmp_path / "site" / "DCNv4" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "site"


@pytest.fixture
def saved(original, tmp_path, monkeypatch):
    """Whole models of the original, and their state dicts."""
    with monkeypatch.context() as patch:
        patch.syspath_prepend(original)
        theirs = importlib.import_module("DCNv4.modules.dcnv4").DCNv4
        assert theirs is not dcnv4.DCNv4
        models = [nn.Sequential(nn.Identity(), theirs(**case)) for case in CASES]
        for model in models:
            for parameter in model.parameters():
                nn.init.normal_(parameter, std=0.2)
        torch.save(models, tmp_path / "whole.pt")
        torch.save([model[1].state_dict() for model in models], tmp_path / "states.pt")
    forget()
    return tmp_path


def safe_globals(*more):
    if not hasattr(torch.serialization, "safe_globals"):
        pytest.skip("torch.serialization.safe_globals came with PyTorch 2.5")
    return torch.serialization.safe_globals([*import_compat().SAFE_GLOBALS, *more])


def test_one_copy_of_each_class():
    compat = import_compat()
    import DCNv4
    import DCNv4.functions.dcnv4_func
    import DCNv4.modules.dcnv4

    for module in (DCNv4, DCNv4.modules, DCNv4.modules.dcnv4):
        assert module.DCNv4 is dcnv4.DCNv4
    for module in (DCNv4, DCNv4.functions, DCNv4.functions.dcnv4_func):
        assert module.DCNv4Function is dcnv4.DCNv4Function
    for name in compat.MODULES:
        assert importlib.import_module(name).__name__ == name
        assert importlib.util.find_spec(name) is not None
    assert sys.modules[dcnv4.DCNv4.__module__].DCNv4 is dcnv4.DCNv4
    with pytest.raises(ImportError, match="cannot import name 'Nothing' from 'DCNv4.modules'"):
        from DCNv4.modules import Nothing  # noqa: F401
    with pytest.raises(ImportError, match="No module named 'DCNv4.nothing'"):
        importlib.import_module("DCNv4.nothing")
    importlib.reload(compat)


def test_the_readme():
    text = (ROOT / "bindings" / "python" / "README.md").read_text()
    (code,) = [block for block in text.split("```python\n") if block.startswith("import dcnv4.compat")]
    names = {}
    exec(code.split("```")[0], names)
    assert names["DCNv4"] is dcnv4.DCNv4 and names["DCNv4Function"] is dcnv4.DCNv4Function


def test_state_dicts_of_the_original(saved):
    for case, state in zip(CASES, torch.load(saved / "states.pt")):
        module = dcnv4.DCNv4(**case)
        module.load_state_dict(state, strict=True)
        assert list(state) == list(module.state_dict())


def check_whole(models, folder):
    """The models are our modules with all attributes, and compute the same as ours with the state dicts loaded."""
    states = torch.load(folder / "states.pt")
    assert len(models) == len(states) == len(CASES)
    for case, state, (_, model) in zip(CASES, states, models):
        made = dcnv4.DCNv4(**case)
        made.load_state_dict(state)
        tokens = torch.randn(2, 6 * 5, made.channels)
        expected = made(tokens, shape=(6, 5))
        assert expected.abs().max() > 0.1
        assert type(model) is dcnv4.DCNv4
        assert set(vars(model)) >= set(vars(made)) and list(model._modules) == list(made._modules)
        assert repr(model) == repr(made)
        for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            one.load_state_dict(state, strict=True)
            assert torch.equal(one(tokens, shape=(6, 5)), expected)
            one(tokens, shape=(6, 5)).sum().backward()


def test_whole_models_of_the_original(saved):
    import_compat()
    before = torch.get_rng_state()
    models = torch.load(saved / "whole.pt", weights_only=False)
    assert torch.equal(before, torch.get_rng_state())
    check_whole(models, saved)


def test_whole_models_with_weights_only(saved):
    """The original's pickles, and ours saved from those, which do not name the original's modules."""
    with safe_globals(nn.Sequential, nn.Identity):
        models = torch.load(saved / "whole.pt", weights_only=True)
        check_whole(models, saved)
        stream = io.BytesIO()
        torch.save(models, stream)
        assert b"DCNv4.modules" not in stream.getvalue()
        forget()
        stream.seek(0)
        check_whole(torch.load(stream, weights_only=True), saved)
    with safe_globals():
        stream = io.BytesIO()
        torch.save(dcnv4.DCNv4Conv2d(8, 4, stride=2, group=2, dw_kernel_size=3), stream)
        stream.seek(0)
        assert torch.load(stream, weights_only=True)(torch.randn(1, 8, 6, 6)).shape == (1, 4, 3, 3)


def test_one_line_is_enough(saved):
    """In a process that has imported nothing else."""
    code = "import dcnv4.compat, torch; print([type(m[1]) for m in torch.load('whole.pt', weights_only=False)])"
    ran = subprocess.run([sys.executable, "-B", "-c", code], cwd=saved, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("dcnv4.modules.DCNv4") == len(CASES)
    ran = subprocess.run(
        [sys.executable, "-B", "-c", code.replace(".compat", "")],
        cwd=saved,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 1 and "No module named 'DCNv4'" in ran.stderr


def test_takes_over_from_an_installed_original(original, monkeypatch):
    monkeypatch.syspath_prepend(original)
    expected = f"installed in {original}.*importing DCNv4 gives libdcnv4's classes"
    with pytest.warns(RuntimeWarning, match=expected) as record:
        import_compat()
    assert len(record) == 1
    assert importlib.import_module("DCNv4.modules").DCNv4 is dcnv4.DCNv4


def test_says_nothing_where_there_is_none(tmp_path, monkeypatch):
    """A folder of that name, such as a clone of the original's repository, is not the package."""
    (tmp_path / "DCNv4").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import_compat()


def test_refuses_an_original_in_use(original, monkeypatch):
    monkeypatch.syspath_prepend(original)
    theirs = importlib.import_module("DCNv4").DCNv4
    with pytest.raises(ImportError, match=f"the module DCNv4 is loaded already, from {original}"):
        import_compat()
    assert importlib.import_module("DCNv4").DCNv4 is theirs


def test_after_an_alias():
    """The workaround from before compat existed; if it has led to a second copy of a class, compat refuses it."""
    sys.modules["DCNv4"] = dcnv4
    import_compat()
    assert importlib.import_module("DCNv4.modules.dcnv4").DCNv4 is dcnv4.DCNv4
    forget()
    sys.modules["DCNv4"] = dcnv4
    sys.modules["DCNv4.modules"] = second = types.ModuleType("DCNv4.modules")
    second.__file__ = dcnv4.modules.__file__
    with pytest.raises(ImportError, match="the module DCNv4.modules is loaded already"):
        import_compat()
