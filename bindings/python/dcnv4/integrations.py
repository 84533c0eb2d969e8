"""Models of transformers, with this package's multi-scale deformable attention in place of their grid_sample code.

    model = AutoModelForObjectDetection.from_pretrained(…)
    print(dcnv4.integrations.use(model))

Parameters, their names, hooks and the models' own code around the operator stay as they are. Nothing is imported from
transformers: the operator is recognised by its name and arguments, also where a project has copied it.
"""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import functools
import inspect
import types
import warnings
from typing import Optional

from torch import nn

from .functional import ms_deform_attn


def _forward(
    self,
    value,
    value_spatial_shapes,
    value_spatial_shapes_list,
    level_start_index,
    sampling_locations,
    attention_weights,
    im2col_step,
):
    # The list, in which the sizes are known without waiting for a GPU. As in the stock class, levels follow each other
    # in value, whatever level_start_index says.
    return ms_deform_attn(value, value_spatial_shapes_list, sampling_locations, attention_weights)


def _function(value, value_spatial_shapes, sampling_locations, attention_weights):
    return ms_deform_attn(value, value_spatial_shapes, sampling_locations, attention_weights)


def _function_v2(value, value_spatial_shapes, sampling_locations, attention_weights, num_points_list, method="default"):
    if method != "default":
        raise ValueError(f"dcnv4.integrations: {_not_ours(method)}; restore(model) gives back the model's own")
    points = list(num_points_list)
    return ms_deform_attn(value, value_spatial_shapes, sampling_locations, attention_weights, points=points)


# The operator in transformers: a class without parameters, which ten models have in their attention modules, and
# functions, which modules call by name or hold in an attribute (D-FINE, DEIMv2).
CLASS = "MultiScaleDeformableAttention"
FUNCTIONS = {"multi_scale_deformable_attention": _function, "multi_scale_deformable_attention_v2": _function_v2}
ATTRIBUTE = "ms_deformable_attn_core"


def _not_ours(method: str) -> str:
    return f"its method is {method!r}, which takes single pixels and does not interpolate; this operator interpolates"


def _same_arguments(one, other) -> bool:
    return list(inspect.signature(one).parameters) == list(inspect.signature(other).parameters)


def _find(module: nn.Module) -> Optional[str]:
    """The name of what the module has of the operator: the class's, the attribute's, or that of a function it calls."""
    kind = type(module)
    if kind.__name__ == CLASS and _same_arguments(kind.forward, _forward):
        return CLASS
    if getattr(vars(module).get(ATTRIBUTE), "__name__", None) == "multi_scale_deformable_attention_v2":
        return ATTRIBUTE
    code, names = getattr(kind.forward, "__code__", None), getattr(kind.forward, "__globals__", {})
    for name, ours in FUNCTIONS.items():
        if code and name in code.co_names and name in names and _same_arguments(names[name], ours):
            return name
    return None


def _reason_to_leave(module: nn.Module) -> Optional[str]:
    method = getattr(module, "method", getattr(module, "decoder_method", "default"))
    if method != "default":
        return _not_ours(method)
    if "forward" in vars(module):
        return "another package has set its forward; call use before that happens"
    return None


def _with_global(function, name: str, value):
    """The function with another meaning of one global name."""
    names = {**function.__globals__, name: value}
    # torch.compile looks global names up in the module that __name__ says, and without it here.
    del names["__name__"]
    made = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return functools.wraps(function, updated=())(made)


@functools.lru_cache(maxsize=None)
def _derived(stock: type, what: str) -> type:
    """The class that a module gets in place of its own. Unlike a forward assigned to the module, it is seen by
    torch.compile, copies, pickles and replicas; and unlike a change of the stock class, it concerns this model alone."""

    def reduce(self, protocol):
        _, _, *state = stock.__reduce_ex__(self, max(protocol, 2))
        return _renew, (stock, what), *state

    def extra_repr(self) -> str:
        return ", ".join(filter(None, (stock.extra_repr(self), "operator=dcnv4")))

    body = {"_dcnv4_instead_of": (stock, what), "__reduce_ex__": reduce, "extra_repr": extra_repr}
    body.update({key: getattr(stock, key) for key in ("__module__", "__qualname__", "__doc__")})
    if what == CLASS:
        body["forward"] = _forward
    elif what == ATTRIBUTE:
        body[ATTRIBUTE] = property(lambda self: _function_v2)  # comes before the module's own attribute
    else:
        body["forward"] = _with_global(stock.forward, what, FUNCTIONS[what])
    return type(stock.__name__, (stock,), body)


def _renew(stock: type, what: str) -> nn.Module:
    """For pickles and copies, which then set the module's attributes."""
    made = _derived(stock, what)
    return made.__new__(made)


class Replaced(dict):
    """What now runs on this package's operator: {module's name: what of transformers it had}. `left` has those that
    were left alone, with the reason. str() gives a line for each."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.left: dict = {}
        self._model = type(model).__name__

    def __str__(self) -> str:
        lines = [f"{name or self._model}: dcnv4 in place of {what}" for name, what in self.items()]
        lines += [f"{name or self._model}: left alone, since {why}" for name, why in self.left.items()]
        return "\n".join(lines or [f"{self._model} has no multi-scale deformable attention that dcnv4 knows"])


def use(model: nn.Module) -> Replaced:
    """Replaces multi-scale deformable attention in a model of transformers, in place, and returns what was replaced: a
    dict by module's name, which prints as a line for each. If called again, it returns the same.

    Call it after from_pretrained: a model that is loaded again has its own operator again. restore() undoes it. Modules
    whose method is "discrete" (RT-DETRv2, D-FINE, DEIMv2) are left alone. Warns if nothing is replaced.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"dcnv4.integrations.use: model is of type {type(model).__name__}, an nn.Module is needed")
    replaced = Replaced(model)
    for name, module in model.named_modules():
        kind = type(module)
        known = getattr(kind, "_dcnv4_instead_of", None)
        stock, what = known or (kind, _find(module))
        if what is None:
            continue
        why = None if known else _reason_to_leave(module)
        if why:
            replaced.left[name] = why
            continue
        if not known:
            module.__class__ = _derived(stock, what)
        replaced[name] = f"{stock.__module__}.{stock.__qualname__ if what == CLASS else what}"
    if not replaced:
        warnings.warn(f"dcnv4.integrations.use: {replaced}", stacklevel=2)
    return replaced


def restore(model: nn.Module) -> list:
    """Undoes use(), and returns the names of the modules that have their own operator again."""
    names = []
    for name, module in model.named_modules():
        known = vars(type(module)).get("_dcnv4_instead_of")
        if known:
            module.__class__ = known[0]
            names.append(name)
    return names
