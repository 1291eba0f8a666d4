"""A trained model as it is used elsewhere: from raw inputs to named outputs, in one module that can be exported.

Raw inputs become prepared inputs, the model maps these to its raw outputs, and these become classes' probabilities or
numbers in their original units. Nothing here depends on the number of samples in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ptrun.spec import DataSpec, Layout, Task

INPUT_NAMES = {Layout.IMAGE: "images", Layout.VECTOR: "features", Layout.SEQUENCE: "sequences"}
OUTPUT_MEANINGS = {  # of each output by its name, in order
    Task.CLASSIFICATION: {
        "logits": "the raw outputs, one for each class",
        "probabilities": "the probability of each class; they sum to 1",
    },
    Task.REGRESSION: {
        "standardized": "the raw outputs, (value - target_mean) / target_std",
        "predictions": "one number for each target, in its own units",
    },
}


class NormalizePixels(nn.Module):
    """Maps uint8 images [batch, channels, height, width] to what the image pipeline ends with, with the same bits.

    scale, shift: [channels, 1, 1], or None, which divides by 255.
    """

    scale: Tensor | None
    shift: Tensor | None

    def __init__(self, scale: Tensor | None = None, shift: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images to float32."""
        if self.scale is None or self.shift is None:
            return images.float() / 255
        return images.float() * self.scale + self.shift


class Standardize(nn.Module):
    """Maps raw numbers [batch, ..., features] to standard scores.

    In float64, as data sets do: in float32 a column such as the year, which is large beside its spread, loses digits.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float64))

    def forward(self, numbers: Tensor) -> Tensor:
        """Map float64 numbers to float32 scores."""
        return ((numbers - self.mean) / self.std).float()

    def invert(self, scores: Tensor) -> Tensor:
        """The raw numbers, float64, of float32 scores."""
        return scores.double() * self.std + self.mean


class ClassOutputs(nn.Module):
    """Adds probabilities to the raw outputs of a classifier, as `metrics/predictions.py` computes them.

    one_vs_rest: there is one sigmoid for each class, and these are scaled to sum to 1.
    """

    def __init__(self, one_vs_rest: bool) -> None:
        super().__init__()
        self.one_vs_rest = one_vs_rest

    def forward(self, outputs: Tensor) -> dict[str, Tensor]:
        """Map [batch, classes] to logits and probabilities of the same shape."""
        scores = logsigmoid(outputs) if self.one_vs_rest else outputs
        return {"logits": outputs, "probabilities": scores.softmax(1)}


class NumberOutputs(nn.Module):
    """Adds the predictions in their original units to the raw outputs of a regression or a forecast."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean or [0.0]))
        self.register_buffer("std", torch.tensor(std or [1.0]))

    def forward(self, outputs: Tensor) -> dict[str, Tensor]:
        """Map [batch, numbers] to standardized outputs and predictions of the same shape."""
        return {"standardized": outputs, "predictions": outputs * self.std + self.mean}


class Served(nn.Module):
    """Preparation, model and outputs in a row."""

    def __init__(self, preparation: nn.Module, model: nn.Module, outputs: nn.Module) -> None:
        super().__init__()
        self.preparation, self.model, self.outputs = preparation, model, outputs
        self.eval()

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Map a batch of raw inputs to the named outputs, float32 [batch, num_outputs] each."""
        named: dict[str, Tensor] = self.outputs(self.model(self.preparation(inputs)))
        return named


def make_outputs(spec: DataSpec, one_vs_rest: bool) -> nn.Module:
    """The last part of `Served` for the task of the data."""
    if spec.task is Task.CLASSIFICATION:
        return ClassOutputs(one_vs_rest)
    return NumberOutputs(spec.target_mean, spec.target_std)
