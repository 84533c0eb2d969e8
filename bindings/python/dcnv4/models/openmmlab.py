"""Registers FlashInternImage in OpenMMLab's registry, from which mmdet 3, mmseg 1 and mmpretrain take it by name. In a config:

custom_imports = dict(imports="dcnv4.models.openmmlab")
backbone = dict(type="FlashInternImage", variant="t", init_cfg=dict(type="Pretrained", checkpoint="weights.pth"))

The arguments of the original authors' configs are taken as well.
"""

from __future__ import annotations

from typing import Optional, Sequence

from .checkpoints import load_checkpoint
from .flash_internimage import CHANNELS_PER_GROUP, B, FlashInternImage, L, S, T, Variant

try:
    from mmengine.registry import MODELS
except ImportError as error:
    raise ImportError(f"dcnv4.models.openmmlab needs mmengine: pip install mmengine ({error})") from None

_VARIANTS = {"t": T, "s": S, "b": B, "l": L}


def _authors_variant(
    channels: int = 64,
    depths: Sequence[int] = (4, 4, 18, 4),
    groups: Optional[Sequence[int]] = None,
    post_norm: bool = False,
    offset_scale: float = 1.0,
    dw_kernel_size: Optional[int] = None,
    dcn_output_bias: bool = False,
    mlp_fc2_bias: bool = False,
    **fixed,
) -> Variant:
    """The arguments of the authors' class, those that their configs set; others cannot be given."""
    wanted = [channels * 2**stage // CHANNELS_PER_GROUP for stage in range(4)]
    if groups is not None and list(groups) != wanted:
        raise ValueError(f"FlashInternImage: groups is {list(groups)}; with channels {channels} it must be {wanted}")
    if dcn_output_bias != mlp_fc2_bias:
        raise ValueError("FlashInternImage: dcn_output_bias and mlp_fc2_bias must be equal")
    values = {"core_op": "DCNv4", "mlp_ratio": 4.0, "norm_layer": "LN", "act_layer": "GELU", "drop_rate": 0.0}
    for name, given in fixed.items():
        if name not in values:
            raise TypeError(f"FlashInternImage has no argument {name}")
        if given != values[name]:
            raise ValueError(f"FlashInternImage: {name} is {given!r}, it must be {values[name]!r}")
    return Variant(
        channels, tuple(depths), 0.0, post_norm=post_norm, offset_scale=offset_scale, dw_kernel_size=dw_kernel_size,
        output_bias=dcn_output_bias,
    )  # fmt: skip


@MODELS.register_module(name="FlashInternImage")
class MMFlashInternImage(FlashInternImage):
    """FlashInternImage with features_only. Either variant ("t", "s", "b" or "l"), or the authors' arguments (channels, depths,
    groups, post_norm, offset_scale, dw_kernel_size, dcn_output_bias, mlp_fc2_bias). with_cp is gradient checkpointing.
    init_cfg=dict(type="Pretrained", checkpoint=file) loads weights with load_checkpoint when the detector calls init_weights().
    """

    def __init__(
        self,
        variant: Optional[str] = None,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        drop_path_rate: Optional[float] = None,
        layer_scale: Optional[float] = 1.0,
        with_cp: bool = False,
        init_cfg: Optional[dict] = None,
        **authors,
    ):
        if init_cfg is not None and init_cfg.get("type") != "Pretrained":
            raise ValueError(f"FlashInternImage: init_cfg is {init_cfg}, its type must be 'Pretrained'")
        if variant is not None and (variant not in _VARIANTS or authors):
            raise ValueError(f"FlashInternImage: variant is {variant!r} with {authors}; it is one of t, s, b, l, alone")
        chosen = _authors_variant(**authors) if variant is None else _VARIANTS[variant]
        super().__init__(
            chosen, features_only=True, out_indices=out_indices, drop_path_rate=drop_path_rate,
            layer_scale=layer_scale, grad_checkpointing=with_cp,
        )  # fmt: skip
        self.init_cfg, self.is_init = init_cfg, False

    def init_weights(self) -> None:
        if self.init_cfg is not None and not self.is_init:
            load_checkpoint(self, self.init_cfg["checkpoint"])
        self.is_init = True
