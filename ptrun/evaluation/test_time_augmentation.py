"""Evaluation on several views of each image (test-time augmentation): the outputs of a model, averaged.

Invariant: a view is a fixed function of the image, so that evaluating twice gives the same numbers.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SHIFT = 1  # pixels


class TestTimeAugmentation(nn.Module):
    """A model that looks at each image and at its mirror image, and with `shifts` also at both moved by a pixel.

    Half of the weight is on the images where they are, half on those moved up and left, and down and right, whose free
    edge is filled by reflection: section 3.5 and the published code of airbench (Jordan 2024, arXiv:2404.00498).
    """

    def __init__(self, model: nn.Module, shifts: bool) -> None:
        super().__init__()
        self.model, self.shifts = model, shifts

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to the mean outputs [batch, num_outputs]."""
        outputs = self._mirrored(images)
        if not self.shifts:
            return outputs
        height, width = images.shape[2:]
        padded = F.pad(images, (SHIFT,) * 4, mode="reflect")
        moved = (padded[:, :, at : at + height, at : at + width] for at in (0, 2 * SHIFT))
        return 0.5 * outputs + 0.25 * sum(self._mirrored(each.contiguous()) for each in moved)

    def _mirrored(self, images: Tensor) -> Tensor:
        outputs: Tensor = 0.5 * self.model(images) + 0.5 * self.model(images.flip(-1))
        return outputs


def averaged(model: nn.Module, views: str) -> nn.Module:
    """The model as it evaluates on these views: one, flip, or flip_shift."""
    return model if views == "one" else TestTimeAugmentation(model, shifts=views == "flip_shift")
