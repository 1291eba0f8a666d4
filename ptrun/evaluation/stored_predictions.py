"""Reads the predictions of an evaluation back from its files, to put those of several evaluations together."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptrun.metrics.predictions import Predictions
from ptrun.reports.evaluation import METRICS_FILE, PREDICTIONS_FILE
from ptrun.spec import DataSpec, Layout, Task


@dataclass(frozen=True)
class StoredPredictions:
    """What metrics.json (document) and predictions.csv (header, rows) of an evaluation hold."""

    document: dict[str, Any]
    header: list[str]
    rows: list[list[str]]

    @property
    def spec(self) -> DataSpec:
        """What the predictions are of, as far as the files say it: shape and scale of the training are not in them."""
        names = tuple(self.document["class_names"]), tuple(self.document["target_names"])
        return DataSpec(
            layout=Layout(self.document["layout"]),
            task=Task(self.document["task"]),
            input_shape=(),
            num_outputs=len(names[0]) or len(names[1]),
            class_names=names[0],
            target_names=names[1],
            horizon=self.document["horizon"],
        )


def read_predictions(folder: Path) -> StoredPredictions:
    """The results in the folder of an evaluation. Raises OSError or ValueError when they are missing or damaged."""
    document = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    with (folder / PREDICTIONS_FILE).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return StoredPredictions(document, header, rows)


def together(stored: Sequence[StoredPredictions]) -> Predictions:
    """The predictions of several evaluations as those of one. Raises ValueError when their columns differ."""
    first = stored[0]
    if any(evaluation.header != first.header for evaluation in stored):
        raise ValueError("their predictions have different columns")
    spec, rows = first.spec, [row for evaluation in stored for row in evaluation.rows]
    if spec.task is Task.CLASSIFICATION:
        number_of = {name: number for number, name in enumerate(spec.class_names)}
        targets, values = (np.array([number_of[row[i]] for row in rows], np.int64) for i in (1, 2))
        return Predictions(spec, targets, values, np.array([row[5:] for row in rows], np.float64))
    numbers = np.array([row[1:] for row in rows], np.float64)
    return Predictions(spec, numbers[:, : spec.num_outputs], numbers[:, spec.num_outputs :])
