"""Writes the results of evaluating one split: metrics.json, predictions.csv, samples.npz.

The plots, and every later comparison, are made from these files alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.dataset import Data
from ptrun.data.loading.loader import Loader
from ptrun.evaluation.baselines import baselines
from ptrun.files.atomic import replacing, replacing_text
from ptrun.files.json_file import write_json
from ptrun.metrics import compute
from ptrun.metrics.predictions import Predictions, confusion_matrix, per_class_scores
from ptrun.reports.evaluation import METRICS_FILE, PREDICTIONS_FILE, SAMPLES_FILE
from ptrun.spec import DataSpec, Layout, Task

_NUM_SAMPLES = 25
_MOST_PIXELS = 224  # of a side; larger images are stored as thumbnails
_THUMBNAIL_PIXELS = 128


def write(
    folder: Path,
    split: str,
    metrics: Mapping[str, Mapping[str, Any]],
    predicted: Predictions,
    loss: float,
    data: Data,
    loader: Loader,
) -> dict[str, Any]:
    """Write the three files and return what metrics.json holds. `metrics`: name → settings."""
    folder.mkdir(parents=True, exist_ok=True)
    document = summarize(split, metrics, predicted, loss, data)
    write_json(folder / METRICS_FILE, document)
    sample_names = [loader.split.name(index) for index in range(len(loader.split))]
    _write_predictions(folder / PREDICTIONS_FILE, sample_names, predicted)
    if predicted.spec.layout is Layout.IMAGE:
        _write_samples(folder / SAMPLES_FILE, predicted, loader)
    return document


def summarize(
    split: str, metrics: Mapping[str, Mapping[str, Any]], predicted: Predictions, loss: float, data: Data
) -> dict[str, Any]:
    """All results of a split in plain containers."""
    spec = predicted.spec
    values, undefined = compute.compute(metrics, predicted, metrics)
    document: dict[str, Any] = {
        "split": split,
        "num_samples": len(predicted.targets),
        "task": str(spec.task),
        "layout": str(spec.layout),
        "loss": loss,
        "metrics": values,
        "undefined": undefined,
        "class_names": list(spec.class_names),
        "target_names": list(spec.target_names),
        "horizon": spec.horizon,
        "baselines": baselines(split, metrics, predicted, data),
    }
    if data.groups is not None and split in data.groups.of:
        document["per_group"] = {
            "column": data.groups.column,
            "groups": _per_group(metrics, predicted, data.groups.names, data.groups.of[split]),
        }
    if spec.task is Task.CLASSIFICATION:
        document["confusion_matrix"] = confusion_matrix(predicted).tolist()
        document["per_class"] = per_class_scores(predicted)
    return document


def _per_group(
    metrics: Mapping[str, Mapping[str, Any]], predicted: Predictions, names: Sequence[str], group_of: NDArray[np.int64]
) -> dict[str, dict[str, Any]]:
    """The number of samples and the metrics of each group that has samples; None for a metric without a value."""
    results: dict[str, dict[str, Any]] = {}
    order = np.argsort(group_of, kind="stable")
    ends = np.cumsum(np.bincount(group_of, minlength=len(names)))
    for name, rows in zip(names, np.split(order, ends[:-1]), strict=True):
        if len(rows):
            probabilities = None if predicted.probabilities is None else predicted.probabilities[rows]
            own = Predictions(predicted.spec, predicted.targets[rows], predicted.values[rows], probabilities)
            values, _ = compute.compute(metrics, own, metrics)
            known: dict[str, float | None] = {metric: values.get(metric) for metric in metrics}
            results[name] = {"num_samples": len(rows), "metrics": known}
    return results


def _write_predictions(path: Path, sample_names: Sequence[str], predicted: Predictions) -> None:
    rows = _class_rows if predicted.spec.task is Task.CLASSIFICATION else _number_rows
    with replacing_text(path) as file:
        csv.writer(file).writerows(rows(predicted.spec, sample_names, predicted))


def _class_rows(spec: DataSpec, sample_names: Sequence[str], predicted: Predictions) -> Iterator[list[Any]]:
    assert predicted.probabilities is not None
    labels = spec.class_names
    yield ["sample", "target", "predicted", "correct", "confidence", *(f"prob_{label}" for label in labels)]
    for name, target, value, probabilities in zip(
        sample_names, predicted.targets, predicted.values, predicted.probabilities, strict=True
    ):
        cells = [f"{probability:.6g}" for probability in probabilities]
        yield [name, labels[target], labels[value], int(target == value), cells[value], *cells]


def _number_rows(spec: DataSpec, sample_names: Sequence[str], predicted: Predictions) -> Iterator[list[Any]]:
    names = spec.target_names
    yield ["sample", *(f"target_{name}" for name in names), *(f"predicted_{name}" for name in names)]
    # Every digit, as a metric computed from this file must equal the reported one: any fixed number of digits is too
    # small for targets far from 0 with a small spread. Adding 0.0 turns -0 into 0.
    numbers = np.concatenate([predicted.targets, predicted.values], axis=1).astype(np.float64) + 0.0
    template = ",".join(["%r"] * numbers.shape[1])  # one call formats a whole row: a forecast has millions of cells
    for name, row in zip(sample_names, numbers.tolist(), strict=True):
        yield [name, *(template % tuple(row)).split(",")]


def _write_samples(path: Path, predicted: Predictions, loader: Loader) -> None:
    """Up to 25 images with their predictions, mistakes first: at most half of them, the others evenly from all."""
    assert predicted.probabilities is not None
    mistakes = np.flatnonzero(predicted.targets != predicted.values)[: _NUM_SAMPLES // 2]
    others = np.linspace(0, len(predicted.targets) - 1, min(_NUM_SAMPLES, len(predicted.targets))).astype(int)
    indices = list(dict.fromkeys([*mistakes.tolist(), *others.tolist()]))[:_NUM_SAMPLES]
    images = [loader.split.read(index).cpu() for index in indices]
    longest = max(max(image.shape[1:]) for image in images)
    if any(image.shape != images[0].shape for image in images) or longest > _MOST_PIXELS:
        images = [_thumbnail(image) for image in images]
    with replacing(path) as file:
        np.savez_compressed(
            file,
            images=torch.stack(images).numpy(),
            targets=predicted.targets[indices],
            predicted=predicted.values[indices],
            confidence=predicted.probabilities[indices].max(1),
        )


def _thumbnail(image: Tensor, side: int = _THUMBNAIL_PIXELS) -> Tensor:
    """Shrink [C, H, W] to fit a square and fill the rest with white: photos of several sizes then fit in one array."""
    scale = side / max(image.shape[1:])
    size = [max(1, round(length * scale)) for length in image.shape[1:]]
    small = torch.nn.functional.interpolate(image[None].float(), size=size, mode="bilinear", antialias=True)[0]
    padded = torch.full((image.shape[0], side, side), 255.0)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    padded[:, top : top + size[0], left : left + size[1]] = small
    return padded.round().clamp(0, 255).to(torch.uint8)
