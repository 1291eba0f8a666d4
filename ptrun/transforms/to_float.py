"""uint8 images to float32 ones: the end of a pipeline, on a whole batch.

Invariant: a pixel becomes float(pixel) * scale + shift, rounded after each of the two, in any memory format and on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor

CACHED_FLOATS = 2**16  # that are written at a time: three passes over a part that stays in the cache cost one over all


def scaled(images: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """images uint8 [N, C, H, W] times scale [C, 1, 1] plus shift [C, 1, 1]; divided by 255 where both are None. The memory format is kept."""
    if images.device.type != "cpu":
        return _change(images.float(), scale, shift)
    by_pixel = images.shape[1] > 1 and images.is_contiguous(memory_format=torch.channels_last)
    pixels = images.permute(0, 2, 3, 1).flatten(2) if by_pixel else images
    if (
        by_pixel and scale is not None and shift is not None
    ):  # [W * C]: one row of pixels, so that whole rows are vectorised
        scale, shift = (each.flatten().repeat(images.shape[3]) for each in (scale, shift))
    floats = torch.empty(pixels.shape)
    at_once = max(1, CACHED_FLOATS // max(1, pixels[0].numel()))
    for source, target in zip(torch.split(pixels, at_once), torch.split(floats, at_once), strict=True):
        _change(target.copy_(source), scale, shift)
    if not by_pixel:
        return floats
    return floats.view(len(images), images.shape[2], images.shape[3], images.shape[1]).permute(0, 3, 1, 2)


def _change(floats: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    if scale is None or shift is None:
        return floats.div_(255)
    return floats.mul_(scale).add_(shift)
