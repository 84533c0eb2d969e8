"""Layers by the names under which the package `kernels` puts them into models of transformers: mapped to
"MultiScaleDeformableAttention", the class here takes the place of the models' own. make_kernel.py makes the folder."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
from torch import nn

from .functional import ms_deform_attn

__all__ = ["MultiScaleDeformableAttention"]


class MultiScaleDeformableAttention(nn.Module):
    """Transformers' operator, which has no parameters."""

    has_backward = True
    can_torch_compile = True

    def forward(
        self,
        value,
        value_spatial_shapes,
        value_spatial_shapes_list,
        level_start_index,
        sampling_locations,
        attention_weights,
        im2col_step,
    ):
        # The list, in which the sizes are known without waiting for a GPU. Levels follow each other, as in the class that
        # this replaces.
        return ms_deform_attn(value, value_spatial_shapes_list, sampling_locations, attention_weights)
