"""Baselines: the results of simple predictors, most of which learn nothing, which a model has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ptrun.data.dataset import Data
from ptrun.metrics import compute
from ptrun.metrics.predictions import Predictions, to_predictions
from ptrun.spec import Task

_CLASS_METRICS = ("accuracy", "balanced_accuracy")  # the others say nothing of a predictor of one class
_ROWS_AT_ONCE = 1024


def baselines(
    split: str, metrics: Mapping[str, Mapping[str, Any]], predicted: Predictions, data: Data
) -> dict[str, dict[str, float]]:
    """The metrics of each baseline on the targets of a split, by the baseline's name.

    metrics: name → settings. predicted: the model's predictions, of which the targets are used.
    """
    if predicted.spec.task is Task.CLASSIFICATION:
        metrics = {name: settings for name, settings in metrics.items() if name in _CLASS_METRICS}
    targets = _standardized_targets(predicted)
    return {
        name: compute.compute(metrics, to_predictions(predicted.spec, outputs, targets), metrics)[0]
        for name, outputs in _baseline_outputs(split, len(predicted.targets), data).items()
    }


def _baseline_outputs(split: str, count: int, data: Data) -> dict[str, torch.Tensor]:
    """Outputs [count, num_outputs] of predictors that only know the training targets, and of those of the data set."""
    train = data.train.targets
    if len(train) == 0:  # all of the data are being evaluated
        return {}
    if data.spec.task is Task.CLASSIFICATION:
        shares = torch.bincount(train, minlength=data.spec.num_outputs).double() / len(train)
        return {"most frequent class": shares.log().expand(count, -1)}
    own = data.baselines() if split == "test" else {}
    return {
        "training mean": _mean(train).expand(count, -1),
        **{name: outputs.double() for name, outputs in own.items()},
    }


def _mean(targets: torch.Tensor) -> torch.Tensor:
    """Mean over samples in double precision.

    Summed part by part: the targets of a series are overlapping views, and a double copy of all of them would be far
    larger than the series.
    """
    return torch.stack([part.double().sum(0) for part in torch.split(targets, _ROWS_AT_ONCE)]).sum(0) / len(targets)


def _standardized_targets(predicted: Predictions) -> torch.Tensor:
    """The targets as the model was trained on them: the predictions hold them in their original units."""
    spec, targets = predicted.spec, torch.from_numpy(predicted.targets)
    if spec.task is Task.CLASSIFICATION or not spec.target_mean:
        return targets
    mean, std = (torch.tensor(values, dtype=targets.dtype) for values in (spec.target_mean, spec.target_std))
    return (targets - mean) / std
