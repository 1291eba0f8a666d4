"""Test-time augmentation: the outputs of a model, averaged over several views of each image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SHIFT_PIXELS = 1


class TestTimeAugmentation(nn.Module):
    """Evaluates a model on each image and its mirror image, and with `shifts` also on both moved by a pixel.

    Half of the weight is on the images where they are, a quarter each on those moved up and left and on those moved
    down and right, whose free edge is filled by reflection: section 3.5 and the published code of airbench (Jordan
    2024, arXiv:2404.00498). The views are fixed, so that evaluating twice gives the same numbers.
    """

    def __init__(self, model: nn.Module, shifts: bool) -> None:
        super().__init__()
        self.model, self.shifts = model, shifts

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to the mean outputs [batch, num_outputs]."""
        outputs = self._with_mirror_images(images)
        if not self.shifts:
            return outputs
        height, width = images.shape[2:]
        padded = F.pad(images, (SHIFT_PIXELS,) * 4, mode="reflect")
        shifted = (padded[:, :, start : start + height, start : start + width] for start in (0, 2 * SHIFT_PIXELS))
        return 0.5 * outputs + 0.25 * sum(self._with_mirror_images(view.contiguous()) for view in shifted)

    def _with_mirror_images(self, images: Tensor) -> Tensor:
        outputs: Tensor = 0.5 * self.model(images) + 0.5 * self.model(images.flip(-1))
        return outputs


def averaged(model: nn.Module, views: str) -> nn.Module:
    """The model as it evaluates on these views: one, flip, or flip_shift."""
    return model if views == "one" else TestTimeAugmentation(model, shifts=views == "flip_shift")
