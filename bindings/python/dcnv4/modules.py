"""DCNv4 as modules: the operator with linear layers that predict offsets and weights, and that mix channels."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import difflib
import inspect
import math
import warnings
from numbers import Integral
from typing import Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import nn

from ._formats import for_layer, image_like, pixels_of
from ._grid import Middle, convolution_padding, image_size, may_be_symbol
from ._problem import Pair, make_layer
from .functional import dcnv4


class DCNv4(nn.Module):
    """The original authors' module: parameters, their names, shapes and initial values are the same, and so are the
    first twelve arguments. [N, L, C] → [N, Lo, C] for images of shape (H, W), which are square if shape is left out;
    Lo = Ho·Wo is L unless stride or pad make the output smaller or larger.

    Initially offsets and weights are 0, so the output is output_proj's bias for any input, and only that and
    offset_mask get gradients. That trains with a residual connection, x + layer(x), as in the original's networks; no
    gradient passes through several layers without one. DCNv4Conv2d starts as an average, and so does softmax=True.

    offset_mask predicts on the output's grid: from the input pixel in the middle of the kernel (with dw_kernel_size,
    from the pixels around it), with zeros beyond the border. Any kernel size, stride, pad, dilation, and number of
    channels per group. softmax applies a softmax to each group's K weights, as in DCNv3. Other arguments are ignored,
    as in the original, with a warning.

    `operator` is the function that computes; set it to dcnv4.reference.dcnv4 for exporters that know grid_sample.
    """

    _arguments = {"channels": "channels", "padding": "pad", "bias": "output_bias"}  # this class's names of them
    _elsewhere = {"padding": "pad", "bias": "output_bias", "in_channels": "channels", "groups": "group"}

    def __init__(
        self,
        channels: int = 64,
        kernel_size: Pair = 3,
        stride: Pair = 1,
        pad: Pair = 1,
        dilation: Pair = 1,
        group: int = 4,
        offset_scale: float = 1.0,
        dw_kernel_size: Optional[int] = None,
        center_feature_scale: bool = False,
        remove_center: bool = False,
        output_bias: bool = True,
        without_pointwise: bool = False,
        *,
        softmax: bool = False,
        device=None,
        dtype=None,
        **unknown,
    ):
        super().__init__()
        for name in unknown:
            warnings.warn(f"{self._no_argument(name)} It is ignored.", stacklevel=2)
        self._build(
            channels, kernel_size, stride, pad, dilation, group, offset_scale, dw_kernel_size, center_feature_scale,
            remove_center, output_bias, without_pointwise, softmax, {"device": device, "dtype": dtype},
        )  # fmt: skip

    def _build(
        self, channels, kernel_size, stride, pad, dilation, group, offset_scale, dw_kernel_size, center_feature_scale,
        remove_center, output_bias, without_pointwise, softmax, factory, output_channels=None, behind=(0, 0),
    ):  # fmt: skip
        """behind: zeros appended to value below and to the right, which the operator's padding cannot give."""
        layer = self._in_our_words(
            make_layer, kernel_size, stride, pad, dilation, group, offset_scale, remove_center, softmax
        )
        self._check_channels(channels, layer.group)
        self.layer = layer
        self.operator = dcnv4
        self.channels, self.kernel_size, self.stride, self.pad = channels, kernel_size, stride, pad
        self.dilation, self.group, self.group_channels = dilation, layer.group, channels // layer.group
        self.offset_scale, self.remove_center = layer.offset_scale, int(layer.remove_center)
        self.dw_kernel_size = dw_kernel_size
        self.center_feature_scale = center_feature_scale
        self.without_pointwise = without_pointwise
        self.behind = behind
        self.middles = tuple(Middle(layer, axis, behind[axis]) for axis in (0, 1))
        self.same_grid = all((m.stride, m.first, m.overhang) == (1, 0, 0) for m in self.middles)

        # In the original's order, so that a seed gives the same initial values.
        if dw_kernel_size is not None:
            self.offset_mask_dw = self._depthwise(dw_kernel_size, factory)
        self.offset_mask = nn.Linear(channels, math.ceil(3 * layer.group * layer.points / 8) * 8, **factory)
        if not without_pointwise:
            self.value_proj = nn.Linear(channels, channels, **factory)
            self.output_proj = nn.Linear(channels, output_channels or channels, bias=output_bias, **factory)
        self._reset_parameters()
        if center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(layer.group, channels, **factory))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(layer.group, **factory))

    def _no_argument(self, name: str) -> str:
        """The message about an unknown argument."""
        known = [each for each in inspect.signature(type(self).__init__).parameters if each not in ("self", "unknown")]
        near = [self._elsewhere[name]] if name in self._elsewhere else difflib.get_close_matches(name, known, 1)
        meant = f"; did you mean {near[0]}?" if near else "."
        return f"{type(self).__name__} has no argument {name}{meant}"

    def _in_our_words(self, check, *arguments):
        """check(*arguments); its errors use this class's name, and its names for the arguments."""
        try:
            return check(*arguments)
        except (TypeError, ValueError) as error:
            text = str(error).replace("dcnv4: padding", f"dcnv4: {self._arguments['padding']}")
            raise type(error)(text.replace("dcnv4:", f"{type(self).__name__}:", 1)) from None

    def _check_number(self, name: str, given) -> None:
        if not isinstance(given, Integral):
            raise TypeError(f"{type(self).__name__}: {name} is {given!r}, it must be a whole number")
        if given < 1:
            raise ValueError(f"{type(self).__name__}: {name} is {given}, at least 1 is needed")

    def _check_channels(self, channels, group: int) -> None:
        name = self._arguments["channels"]
        self._check_number(name, channels)
        if channels % group != 0:
            fits = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
            raise ValueError(
                f"{type(self).__name__}: {name} is {channels}, which group {group} does not divide; group may be {fits}"
            )

    def _depthwise(self, size: int, factory: dict) -> nn.Conv2d:
        """A convolution on the output's grid. It pads by itself if the same number on both sides is right for every
        image size; otherwise `depthwise_padding` is None and the image is padded before it."""
        self._check_number("dw_kernel_size", size)
        padding = tuple((size - 1) // 2 - middle.first for middle in self.middles)
        even = all(middle.first == -middle.overhang for middle in self.middles)
        exact = size % 2 == 1 and min(padding) >= 0 and even
        self.depthwise_padding = padding if exact else None
        return nn.Conv2d(
            self.channels, self.channels, size, self.layer.stride, padding if exact else 0, groups=self.channels,
            **factory,
        )  # fmt: skip

    def reset_parameters(self) -> None:
        """Initialises all parameters."""
        if self.dw_kernel_size is not None:
            self.offset_mask_dw.reset_parameters()
        self._reset_parameters()
        if self.center_feature_scale:
            nn.init.zeros_(self.center_feature_scale_proj_weight)
            nn.init.zeros_(self.center_feature_scale_proj_bias)

    def _reset_parameters(self):
        nn.init.zeros_(self.offset_mask.weight)
        nn.init.zeros_(self.offset_mask.bias)
        if not self.without_pointwise:
            for projection in (self.value_proj, self.output_proj):
                nn.init.xavier_uniform_(projection.weight)
                if projection.bias is not None:
                    nn.init.zeros_(projection.bias)

    def output_size(self, height: int, width: int) -> tuple:
        """(Ho, Wo) for images of this size."""
        return self.layer.output_size(height + self.behind[0], width + self.behind[1])

    def _fit(self, x: torch.Tensor, before: int = 0, after: int = 0) -> torch.Tensor:
        """x [N, H, W, C], padded or cropped to begin `before` pixels before the first middle and end `after` after the
        last."""
        rows, columns = (middle.edges(before, after) for middle in self.middles)
        return F.pad(x, (0, 0, *columns, *rows)) if any(rows + columns) else x

    def _at_middles(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, H, W, C] sampled on the output's grid, [N, Ho, Wo, C]."""
        if self.same_grid:
            return x
        x = self._fit(x)
        if self.layer.stride == (1, 1):
            return x
        step_h, step_w = self.layer.stride
        if not may_be_symbol(x.shape[1]):
            return x[:, ::step_h, ::step_w]
        # The same as an average over one pixel, whose output size is computed as a convolution's: with a strided slice
        # torch.export would distinguish even sizes from odd ones.
        return F.avg_pool2d(x.permute(0, 3, 1, 2), 1, self.layer.stride).permute(0, 2, 3, 1)

    def _predict(self, x: torch.Tensor) -> torch.Tensor:
        """offset_mask [N, Ho, Wo, P] from the input [N, H, W, C]."""
        if self.dw_kernel_size is None:
            x = self._at_middles(x)
        else:
            if self.depthwise_padding is None:
                x = self._fit(x, (self.dw_kernel_size - 1) // 2, self.dw_kernel_size // 2)
            x = for_layer(self.offset_mask_dw, x)
            x = self.offset_mask_dw(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.offset_mask(for_layer(self.offset_mask, x))

    def _check_image(self, x: torch.Tensor) -> None:
        """Checks that the kernel fits, before another function fails. torch.fx's proxies cannot be checked."""
        if self.same_grid or not isinstance(x, torch.Tensor):
            return
        height, width = x.shape[1:3]
        if min(self.output_size(height, width)) < 1:
            layer, name = self.layer, self._arguments["padding"]
            spans = tuple(middle.span + 1 for middle in self.middles)
            raise ValueError(
                f"{type(self).__name__}: the image is {height}×{width} pixels with {name} {layer.padding}, and the "
                f"kernel spans {spans[0]}×{spans[1]} (kernel_size {layer.kernel_size}, dilation {layer.dilation})"
            )

    def aggregate(self, x: torch.Tensor) -> torch.Tensor:
        """The whole module on an image: [N, H, W, C] → [N, Ho, Wo, C], contiguous."""
        self._check_image(x)
        value = x if self.without_pointwise else self.value_proj(x)
        if isinstance(value, torch.Tensor) and value.shape[3] != self.channels:
            raise ValueError(
                f"{type(self).__name__}: value_proj gave {value.shape[3]} channels, of {self.channels}. To split the "
                f"layer among processes (tensor parallelism), use dcnv4.distributed.parallelize: each must also take its own "
                f"groups' part of offset_mask, which ColwiseParallel does not do"
            )
        layer = self.layer
        y = self.operator(
            F.pad(value, (0, 0, 0, self.behind[1], 0, self.behind[0])) if any(self.behind) else value,
            self._predict(x), layer.kernel_size, layer.stride, layer.padding, layer.dilation,
            layer.group, layer.offset_scale, layer.remove_center, layer.softmax,
        )  # fmt: skip
        if self.center_feature_scale:
            y = self._scale_center(y, value)
        return y if self.without_pointwise else self.output_proj(y)

    def _scale_center(self, y: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """_mix with shares predicted from y: one for each of its pixels and groups."""
        share = F.linear(y, self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias).sigmoid()
        return self._mix(y, value, share)

    def _mix(self, y: torch.Tensor, value: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """(1 − share)·y + share·(value in the middle of the kernel); share is [N, Ho, Wo, groups]."""
        # Not repeat_interleave, which PyTorch's older ONNX exporter exports wrongly.
        share = share.unsqueeze(-1).expand(-1, -1, -1, -1, self.group_channels).flatten(-2)
        return y * (1 - share) + self._at_middles(value) * share

    def __setstate__(self, state):
        """A pickle of the original's module (dcnv4.compat) has its attributes and parameters; adds the missing ones."""
        super().__setstate__(state)
        if "layer" in state:
            return
        with torch.random.fork_rng(devices=[]):
            whole = DCNv4(
                self.channels, self.kernel_size, self.stride, self.pad, self.dilation, self.group, self.offset_scale,
                self.dw_kernel_size, self.center_feature_scale, self.remove_center, True, self.without_pointwise,
            )  # fmt: skip
        for name, attribute in vars(whole).items():
            self.__dict__.setdefault(name, attribute)
        self._modules.pop("center_feature_scale_module", None)
        if self.dw_kernel_size is not None:
            depthwise, fitting = self.offset_mask_dw, whole.offset_mask_dw
            depthwise.stride, depthwise.padding = fitting.stride, fitting.padding

    def forward(self, input: torch.Tensor, shape: Optional[Tuple[int, int]] = None) -> torch.Tensor:
        if not isinstance(input, torch.Tensor):  # a proxy of torch.fx
            size = image_size(input.shape[1], shape)
            return self.aggregate(input.reshape(input.shape[0], size[0], size[1], self.channels)).flatten(1, 2)
        if input.dim() != 3 or input.shape[2] != self.channels:
            raise ValueError(
                f"{type(self).__name__}: input has shape {list(input.shape)}, [N, L, {self.channels}] is needed"
            )
        batch, length, channels = input.shape
        height, width = image_size(length, shape)
        if height * width != length:
            given = "shape is left out" if shape is None else f"shape is {tuple(shape)}"
            raise ValueError(
                f"{type(self).__name__}: input has {length} pixels an image, {given}, which makes {height}×{width}"
            )
        return self.aggregate(input.reshape(batch, height, width, channels)).flatten(1, 2)

    def compile(self, *args, **kwargs):
        """torch.nn.Module.compile. Different layers are compiled separately, but PyTorch counts them as recompilations
        of one function, of which it allows eight by default."""
        if not hasattr(nn.Module, "compile"):
            raise RuntimeError(f"{type(self).__name__}: PyTorch {torch.__version__} has no Module.compile, 2.4 has")
        if "recompile_limit" in inspect.signature(torch.compile).parameters:
            kwargs.setdefault("recompile_limit", 64)
        super().compile(*args, **kwargs)

    def extra_repr(self) -> str:
        """The sizes, and the arguments that differ from their defaults."""
        layer, padding = self.layer, self.__dict__.get("padding", self.layer.padding)
        text = f"{self._sizes()}, kernel_size={layer.kernel_size}, stride={layer.stride}"
        text += f", {self._arguments['padding']}={padding}"
        if layer.dilation != (1, 1):
            text += f", dilation={layer.dilation}"
        text += f", group={layer.group}"
        if layer.offset_scale != 1:
            text += f", offset_scale={layer.offset_scale:g}"
        if self.dw_kernel_size is not None:
            text += f", dw_kernel_size={self.dw_kernel_size}"
        for name in ("center_feature_scale", "remove_center", "without_pointwise"):
            if getattr(self, name):
                text += f", {name}=True"
        if layer.softmax:
            text += ", softmax=True"
        if not self.without_pointwise and self.output_proj.bias is None:
            text += f", {self._arguments['bias']}=False"
        return text

    def _sizes(self) -> str:
        return str(self.channels)


class DCNv4Conv2d(DCNv4):
    """DCNv4 in place of a convolution: [N, in_channels, H, W] → [N, out_channels, Ho, Wo], or both without N. The first
    arguments are torch.nn.Conv2d's, with these differences:

    - padding=None keeps the size at stride 1 with an odd kernel, as "same" does with any kernel; "valid" is 0.
    - group is how many groups of channels have offsets and weights of their own: by default 4 if 4 divides in_channels,
      else 2 or 1. Channels are mixed among all groups, as with a convolution's groups=1.
    - The output has the input's memory format in every dtype. A channels-last input is not copied; for a contiguous one
      both input and output are.

    Initially each output pixel is the average over the kernel's points: offsets are 0, and the bias of each of the K
    weights is 1/K. (If they were 0, as in DCNv4, the output would be constant, and none of several layers in a row
    would ever get a gradient.) With softmax=True, K zeros give that average. The projections' weights are scaled by
    their number of inputs, as Conv2d's are, but they preserve the variance, where Conv2d's divide it by 3: the average
    divides it as well, by 1 in smooth images and by K in noise.
    """

    _arguments = {"channels": "in_channels", "padding": "padding", "bias": "bias"}
    _elsewhere = {"pad": "padding", "output_bias": "bias", "channels": "in_channels"}

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair = 3,
        stride: Pair = 1,
        padding: Union[Pair, str, None] = None,
        dilation: Pair = 1,
        group: Optional[int] = None,
        bias: bool = True,
        offset_scale: float = 1.0,
        dw_kernel_size: Optional[int] = None,
        center_feature_scale: bool = False,
        remove_center: bool = False,
        *,
        softmax: bool = False,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
        **unknown,
    ):
        nn.Module.__init__(self)
        self._refuse(unknown, padding_mode)
        self._check_number("in_channels", in_channels)
        self._check_number("out_channels", out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        amounts, behind = self._in_our_words(convolution_padding, padding, kernel_size, stride, dilation)
        self._build(
            in_channels, kernel_size, stride, amounts, dilation, math.gcd(4, in_channels) if group is None else group,
            offset_scale, dw_kernel_size, center_feature_scale, remove_center, bias, False, softmax,
            {"device": device, "dtype": dtype}, out_channels, behind,
        )  # fmt: skip
        self.padding = padding if isinstance(padding, str) else self.layer.padding

    def _refuse(self, unknown: dict, padding_mode: str) -> None:
        if "groups" in unknown:
            raise TypeError(
                f"{type(self).__name__} has no argument groups: channels are mixed among all, as with groups=1. Leave "
                f"it out; group is how many groups of channels have offsets of their own"
            )
        for name in unknown:
            raise TypeError(self._no_argument(name))
        if padding_mode != "zeros":
            raise ValueError(
                f"{type(self).__name__}: padding_mode is {padding_mode!r}, only 'zeros' is there; pad the input with "
                f"torch.nn.functional.pad(input, …, mode={padding_mode!r}), and give padding=0"
            )

    def _reset_parameters(self):
        super()._reset_parameters()
        layer = self.layer
        if not layer.softmax and layer.points > 0:
            rows = self.offset_mask.bias.detach()[: 3 * layer.group * layer.points]
            nn.init.constant_(rows.view(layer.group, -1)[:, 2 * layer.points :], 1 / layer.points)
        if self.dw_kernel_size is not None:
            # Nearly 0; with 0 no gradient would reach offset_mask_dw.
            nn.init.normal_(self.offset_mask.weight, std=1e-3)
        for projection in (self.value_proj, self.output_proj):
            nn.init.kaiming_uniform_(projection.weight, nonlinearity="linear")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not isinstance(input, torch.Tensor):  # a proxy of torch.fx: a batch
            return image_like(input, self.aggregate(pixels_of(input)))
        if input.dim() not in (3, 4) or input.shape[-3] != self.channels:
            raise ValueError(
                f"{type(self).__name__}: input has shape {list(input.shape)}, [N, {self.channels}, H, W] or "
                f"[{self.channels}, H, W] is needed (in_channels is {self.channels})"
            )
        batch = input if input.dim() == 4 else input.unsqueeze(0)
        output = image_like(batch, self.aggregate(pixels_of(batch)))
        return output if input.dim() == 4 else output.squeeze(0)

    def _sizes(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"
