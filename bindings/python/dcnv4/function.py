"""The original authors' function, for code that calls it directly."""

from __future__ import annotations

from .functional import dcnv4


class DCNv4Function:
    @staticmethod
    def apply(
        input, offset_mask, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
        group, group_channels, offset_scale, im2col_step, remove_center,
    ):  # fmt: skip
        """im2col_step, which split batches in the original, has no meaning here."""
        if input.shape[-1] != group * group_channels:
            raise ValueError(
                f"DCNv4Function: input has {input.shape[-1]} channels, but group {group} times group_channels "
                f"{group_channels} is {group * group_channels}"
            )
        return dcnv4(
            input, offset_mask, (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w),
            group, offset_scale, remove_center,
        )  # fmt: skip
