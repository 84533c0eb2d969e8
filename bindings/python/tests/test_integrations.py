"""dcnv4.integrations: the models of transformers give the same with dcnv4's operator as with their own."""

import copy
import importlib.util
import pickle
import warnings

import pytest
import torch
from torch import nn

from dcnv4 import functional, integrations

if importlib.util.find_spec("transformers") is None:
    pytest.skip("transformers is not installed", allow_module_level=True)

from small_models import MODELS, make  # noqa: E402

# What each model has of the operator, and in how many modules.
FUNCTIONS = {
    "mask2former": "multi_scale_deformable_attention",
    "oneformer": "multi_scale_deformable_attention",
    "rt_detr_v2": "multi_scale_deformable_attention_v2",
    "d_fine": "ms_deformable_attn_core",
    "deimv2": "ms_deformable_attn_core",
}
WITH_ENCODER = ("deformable_detr", "grounding_dino", "mm_grounding_dino")


def floats(outputs) -> dict:
    """The outputs that are tensors of floats; Grounding DINO's logits are −∞ where there is no word."""
    found = {key: value for key, value in outputs.items() if isinstance(value, torch.Tensor)}
    return {key: value[value.isfinite()] for key, value in found.items() if value.is_floating_point()}


def run(model, inputs) -> tuple:
    """Outputs, and the parameters' gradients for a loss that depends on all of them."""
    outputs = floats(model(**inputs))
    loss = sum((value * torch.linspace(-1, 1, value.numel()).to(value.dtype)).sum() for value in outputs.values())
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return outputs, {name: g for name, g in zip(named, gradients) if g is not None}


def apart(found, expected) -> float:
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


def recorded(module, model, inputs):
    """The arguments of the module in a run of the model."""
    calls = []
    handle = module.register_forward_hook(lambda _, *call: calls.append(call), with_kwargs=True)
    with torch.no_grad():
        model(**inputs)
    handle.remove()
    return calls[0][:2]


@pytest.fixture(autouse=True)
def one_thread():
    """The models are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", MODELS)
def test_same_outputs_and_gradients(name):
    """In float32, and in float64, which tells rounding from errors: gradients of these models amplify it."""
    model, inputs = make(name)
    keys = list(model.state_dict())
    for dtype, bound, gradient_bound in ((torch.float32, 1e-5, 1e-3), (torch.float64, 1e-12, 1e-10)):
        model.to(dtype)
        inputs = {key: value.to(dtype) if value.is_floating_point() else value for key, value in inputs.items()}
        outputs, gradients = run(model, inputs)
        check_replaced(name, integrations.use(model))
        new_outputs, new_gradients = run(model, inputs)
        integrations.restore(model)
        for key, expected in outputs.items():
            if dtype is torch.float64 or key != "relative_order_logits":  # differences of almost equal numbers
                assert apart(new_outputs[key], expected) <= bound, (dtype, key)
        assert new_gradients.keys() == gradients.keys()
        new, old = (torch.cat([found[key].flatten() for key in gradients]) for found in (new_gradients, gradients))
        assert apart(new, old) <= gradient_bound, dtype
        offsets = [key for key in gradients if "sampling_offsets" in key]
        assert len(offsets) >= 4 and all(gradients[key].norm() > 0 for key in offsets)
        for key in offsets:
            assert apart(new_gradients[key], gradients[key]) <= gradient_bound, (dtype, key)
    assert list(model.state_dict()) == keys


def check_replaced(name, replaced):
    assert len(replaced) == (4 if name in WITH_ENCODER else 2) and not replaced.left
    assert {what.rpartition(".")[2] for what in replaced.values()} == {FUNCTIONS.get(name, integrations.CLASS)}
    assert all(what.startswith(f"transformers.models.{name}.") for what in replaced.values())


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16(name):
    """The error of one call is smaller than before, against float64 on the same numbers."""
    model, inputs = make(name)
    path = next(iter(integrations.use(model)))
    module = model.get_submodule(path)
    arguments, keywords = recorded(module, model, inputs)

    def result(dtype):
        def convert(value):
            floating = isinstance(value, torch.Tensor) and value.is_floating_point()
            return value.bfloat16().to(dtype) if floating else value

        with torch.no_grad():
            made = copy.deepcopy(module).bfloat16().to(dtype)
            found = made(*map(convert, arguments), **{key: convert(value) for key, value in keywords.items()})
        return found[0] if isinstance(found, tuple) else found

    exact, ours = result(torch.float64), result(torch.bfloat16)
    integrations.restore(model)
    theirs = result(torch.bfloat16)
    assert ours.dtype is theirs.dtype is torch.bfloat16
    assert apart(ours, exact) < 0.9 * apart(theirs, exact)


@pytest.mark.parametrize("name, scaled", [("deformable_detr", 1), ("rt_detr_v2", 6)])
def test_whole_models_in_bfloat16(name, scaled, monkeypatch):
    """Outputs are nearer than before to those of the same parameters in float32. Other layers round too, so images are
    larger than elsewhere here, and the attention of RT-DETRv2's decoder weighs more than its residuals. It decodes the
    places with the largest scores, which rounding changes: those of float32 are chosen in all runs."""
    topk, chosen = torch.topk, []
    weights = ("sampling_offsets.weight", "value_proj.weight", "output_proj.weight")

    def choose(scores, *arguments, **keywords):
        if not chosen:
            chosen.append(topk(scores, *arguments, **keywords).indices)
        return torch.return_types.topk((scores.gather(keywords["dim"], chosen[0]), chosen[0]))

    def results(model, pixels):
        with torch.no_grad():
            found = model(pixel_values=pixels)
        return torch.cat([found[key].double().flatten() for key in ("logits", "last_hidden_state")])

    monkeypatch.setattr(torch, "topk", choose)
    before = after = 0.0
    for seed in range(2):
        chosen.clear()
        model, _ = make(name, seed)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "decoder" in key and key.endswith(weights):
                    parameter.mul_(scaled)
        model.bfloat16()
        pixels = torch.randn(2, 3, 192, 288).bfloat16()  # two: with one, PyTorch's grid_sample reads elsewhere
        exact = results(copy.deepcopy(model).float(), pixels.float())
        before += apart(results(model, pixels), exact) ** 2
        integrations.use(model)
        after += apart(results(model, pixels), exact) ** 2
    assert after**0.5 < 0.95 * before**0.5


def test_calls_the_operator(monkeypatch):
    calls = []

    def recording(*arguments, **keywords):
        calls.append(arguments)
        return functional.ms_deform_attn(*arguments, **keywords)

    monkeypatch.setattr(integrations, "ms_deform_attn", recording)
    for name in ("deformable_detr", *FUNCTIONS):
        model, inputs = make(name)
        modules = integrations.use(model)
        calls.clear()
        model(**inputs)
        assert len(calls) == len(modules)
        integrations.restore(model)
        model(**inputs)
        assert len(calls) == len(modules)


def test_says_what_it_does():
    model, _ = make("deformable_detr")
    before = [type(module) for module in model.modules()]
    replaced = integrations.use(model)
    names = [f"model.{part}.layers.{i}.{kind}" for part, kind in
             (("encoder", "self_attn.attn"), ("decoder", "encoder_attn.attn")) for i in range(2)]  # fmt: skip
    assert sorted(replaced) == sorted(names)
    lines = str(replaced).splitlines()
    assert lines[0] == (
        "model.encoder.layers.0.self_attn.attn: dcnv4 in place of "
        "transformers.models.deformable_detr.modeling_deformable_detr.MultiScaleDeformableAttention"
    )
    assert integrations.use(model) == replaced  # again
    assert "MultiScaleDeformableAttention(operator=dcnv4)" in repr(model)
    assert sorted(integrations.restore(model)) == sorted(names)
    assert [type(module) for module in model.modules()] == before
    assert integrations.restore(model) == []


def test_one_model_alone():
    """Other models of the process keep their own operator, and a loaded model has it again."""
    for name in ("deformable_detr", "mask2former", "d_fine"):
        (model, _), (other, _) = make(name), make(name)
        integrations.use(model)
        assert integrations.restore(other) == []
        assert integrations.restore(type(model)(model.config)) == []


def test_copies_and_pickles():
    for name in ("deformable_detr", "mask2former", "d_fine"):
        model, inputs = make(name)
        path = next(iter(integrations.use(model)))
        module = model.get_submodule(path)
        arguments, keywords = recorded(module, model, inputs)
        expected = module(*arguments, **keywords)
        for one in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert list(integrations.use(one)) == [""] and type(one) is type(module)
            found = one(*arguments, **keywords)
            assert all(torch.equal(*pair) for pair in zip(found, expected))
            assert integrations.restore(one) == [""]


def test_discrete_is_left_alone():
    for name in ("rt_detr_v2", "d_fine", "deimv2"):
        model, inputs = make(name, decoder_method="discrete")
        with torch.no_grad():
            expected = model(**inputs).logits
            with pytest.warns(UserWarning, match="left alone, since its method is 'discrete'"):
                replaced = integrations.use(model)
            assert replaced == {} and len(replaced.left) == 2
            assert torch.equal(model(**inputs).logits, expected)
    model, inputs = make("d_fine")
    integrations.use(model)
    model.model.decoder.layers[0].encoder_attn.decoder_method = "discrete"
    with pytest.raises(ValueError, match="its method is 'discrete'"):
        model(**inputs)


def test_another_forward_is_left_alone():
    model, _ = make("mask2former")
    layers = model.model.pixel_level_module.decoder.encoder.layers
    layers[0].self_attn.forward = layers[0].self_attn.forward  # as hooks of other packages do
    replaced = integrations.use(model)
    assert len(replaced) == 1
    ((name, reason),) = replaced.left.items()
    assert name.endswith("layers.0.self_attn") and "another package has set its forward" in reason
    assert f"{name}: left alone, since {reason}" in str(replaced)


def test_models_without_it():
    with pytest.warns(UserWarning, match="Linear has no multi-scale deformable attention that dcnv4 knows"):
        assert integrations.use(nn.Linear(2, 2)) == {}
    with pytest.raises(TypeError, match="model is of type dict, an nn.Module is needed"):
        integrations.use({})
    model, _ = make("rt_detr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        integrations.use(model)


@pytest.mark.skipif(not functional._OPERATORS, reason="operators came with PyTorch 2.4")
@pytest.mark.parametrize("name", ["deformable_detr", "mask2former", "d_fine", "rt_detr_v2"])
def test_compiles_and_exports(name):
    """In one graph, with the operator in it; after restore the model's own is compiled again."""
    model, inputs = make(name)
    path = next(iter(integrations.use(model))).removesuffix(".attn")
    module = model.get_submodule(path)
    arguments, keywords = recorded(module, model, inputs)
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    def names(graph):
        return [getattr(node.target, "__name__", str(node.target)) for node in graph.graph.nodes]

    torch._dynamo.reset()
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    with torch.no_grad():
        expected = module(*arguments, **keywords)[0]
        assert torch.equal(compiled(*arguments, **keywords)[0], expected)
        assert "ms_deform_attn" in names(graphs[0]) and "grid_sample" not in names(graphs[0])
        exported = torch.export.export(module, arguments, keywords, strict=False)
        assert "ms_deform_attn.default" in names(exported)
        assert torch.equal(exported.module()(*arguments, **keywords)[0], expected)
        integrations.restore(model)
        compiled(*arguments, **keywords)
    assert "ms_deform_attn" not in names(graphs[1]) and "grid_sample" in names(graphs[1])
