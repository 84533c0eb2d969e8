"""mmcv.ops.multi_scale_deform_attn's names, for code that uses them without mmcv's compiled operators."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import torch
from torch import nn

from .functional import ms_deform_attn
from .ms_deform_attn import MSDeformAttn
from .ms_deform_attn_function import MSDeformAttnFunction as MultiScaleDeformableAttnFunction  # noqa: F401


def multi_scale_deformable_attn_pytorch(
    value: torch.Tensor, value_spatial_shapes, sampling_locations: torch.Tensor, attention_weights: torch.Tensor
) -> torch.Tensor:
    """As in mmcv, levels follow each other in value. It is the same operator as MultiScaleDeformableAttnFunction's."""
    return ms_deform_attn(value, value_spatial_shapes, sampling_locations, attention_weights)


class MultiScaleDeformableAttention(MSDeformAttn):
    """mmcv's module: its arguments, parameters, their names and initial values, so that its checkpoints load with
    strict=True. value_proj_ratio must be 1; im2col_step, norm_cfg and init_cfg are ignored (mmcv uses the first alone,
    to split batches). It is in no registry of mmengine's."""

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        im2col_step: int = 64,
        dropout: float = 0.1,
        batch_first: bool = False,
        norm_cfg=None,
        init_cfg=None,
        value_proj_ratio: float = 1.0,
    ):
        if value_proj_ratio != 1:
            name = type(self).__name__
            raise ValueError(f"{name}: value_proj_ratio is {value_proj_ratio}, only 1 is possible")
        super().__init__(embed_dims, num_levels, num_heads, num_points)
        self.embed_dims, self.num_heads, self.num_levels = embed_dims, num_heads, num_levels
        self.num_points, self.im2col_step, self.batch_first = num_points, im2col_step, batch_first
        self.dropout = nn.Dropout(dropout)

    def init_weights(self) -> None:
        self.reset_parameters()

    def forward(
        self,
        query: torch.Tensor,
        key=None,
        value=None,
        identity=None,
        query_pos=None,
        key_padding_mask=None,
        reference_points=None,
        spatial_shapes=None,
        level_start_index=None,
        **kwargs,
    ) -> torch.Tensor:
        """query and the result are [Q, N, embed_dims], value is [S, N, embed_dims]; N comes first with batch_first. key
        is not used. reference_points is [N, Q, L, 2 or 4], key_padding_mask [N, S]."""
        value = query if value is None else value
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.permute(1, 0, 2), value.permute(1, 0, 2)
        output = super().forward(query, reference_points, value, spatial_shapes, level_start_index, key_padding_mask)
        output = output if self.batch_first else output.permute(1, 0, 2)
        return self.dropout(output) + identity
