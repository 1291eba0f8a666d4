"""Results of predictors that learn nothing: what a model has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ptrun.data.dataset import Data
from ptrun.metrics import compute
from ptrun.metrics.predictions import Predictions, to_predictions
from ptrun.spec import Task


def baselines(
    split: str, chosen: Mapping[str, Mapping[str, Any]], predicted: Predictions, data: Data
) -> dict[str, dict[str, float]]:
    """The same metrics for predictions that need no learning: what a model has to beat."""
    outputs = _naive_outputs(split, len(predicted.targets), data)
    if predicted.spec.task is Task.CLASSIFICATION:
        chosen = {name: settings for name, settings in chosen.items() if name in ("accuracy", "balanced_accuracy")}
    targets = _standardised_targets(predicted)
    return {
        name: compute.compute(chosen, to_predictions(predicted.spec, values, targets), chosen)[0]
        for name, values in outputs.items()
    }


def _naive_outputs(split: str, count: int, data: Data) -> dict[str, torch.Tensor]:
    """Outputs [count, num_outputs] of predictors that only know the training targets, and of the dataset's own."""
    train = data.train.targets
    if len(train) == 0:  # all of the data are being evaluated
        return {}
    if data.spec.task is Task.CLASSIFICATION:
        shares = torch.bincount(train, minlength=data.spec.num_outputs).double() / len(train)
        return {"most frequent class": shares.log().expand(count, -1)}
    own = data.baselines() if split == "test" else {}
    return {
        "training mean": _mean(train).expand(count, -1),
        **{name: values.double() for name, values in own.items()},
    }


def _mean(targets: torch.Tensor) -> torch.Tensor:
    """Mean over samples in double precision; a part at a time, because the targets of a series are views, far larger than it."""
    return torch.stack([part.double().sum(0) for part in torch.split(targets, 1024)]).sum(0) / len(targets)


def _standardised_targets(predicted: Predictions) -> torch.Tensor:
    spec, targets = predicted.spec, torch.from_numpy(predicted.targets)
    if spec.task is Task.CLASSIFICATION or not spec.target_mean:
        return targets
    return (targets - torch.tensor(spec.target_mean, dtype=targets.dtype)) / torch.tensor(
        spec.target_std, dtype=targets.dtype
    )
