"""Cross-validation: the jobs of a sweep that test the folds of one division, put together.

Each sample is predicted once, by the job that did not train on it. These predictions are written beside the jobs, with
the metrics over all of them.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.evaluation.stored_predictions import StoredPredictions, read_predictions, together
from ptrun.files.atomic import replacing_text
from ptrun.files.json_file import write_json
from ptrun.metrics import compute
from ptrun.registry import metrics as registered
from ptrun.runs import find
from ptrun.runs.configurations import std, swept_keys
from ptrun.runs.folder import SPLITS, RunDir
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric

FILE = "out_of_fold"
_SHOWN = ("accuracy", "f1_macro", "roc_auc", "rmse", "mae", "r2")  # of the metrics, in the line on the console
_FOLD = "split.fold"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class FoldRuns:
    """The finished jobs of one configuration, by fold. settings: what the sweep varies. folds: the planned number."""

    settings: str
    folds: int
    jobs: Mapping[int, Row]


def fold_runs(folder: Path, rows: Sequence[Row]) -> list[FoldRuns]:
    """The jobs of a sweep that test folds, by configuration; those of other jobs are passed over."""
    by_settings: dict[tuple[tuple[str, ...], int], dict[int, Row]] = {}
    for row in rows:
        record = find.read_leniently(folder / row["job"], SPLITS)
        if row["state"] == "done" and record.get("folds") is not None:
            settings = tuple(text for text in row["overrides"] if text.partition("=")[0] != _FOLD)
            by_settings.setdefault((settings, record["folds"]), {})[record["fold"]] = row
    swept = swept_keys(rows)
    return [
        FoldRuns(" ".join(text for text in settings if text.partition("=")[0] in swept), folds, jobs)
        for (settings, folds), jobs in by_settings.items()
    ]


def report(folder: Path, rows: Sequence[Row], console: Console) -> None:
    """Write the out-of-fold predictions of each configuration whose folds are all done, and print their metrics."""
    runs = fold_runs(folder, rows)
    for configuration in runs:
        name = f" of {configuration.settings}" if configuration.settings else ""
        missing = [str(fold) for fold in range(configuration.folds) if fold not in configuration.jobs]
        if missing:
            if len(configuration.jobs) > 1 or len(runs) == 1:
                console.note(
                    f"Out-of-fold predictions{name} need all {configuration.folds} folds; missing: "
                    f"{', '.join(missing)}. Sweep over {_FOLD}={','.join(map(str, range(configuration.folds)))}."
                )
            continue
        first = min((row["job"] for row in configuration.jobs.values()), key=lambda job: (len(job), job))
        path = folder / (f"{FILE}.csv" if len(runs) == 1 else f"{FILE}-{first}.csv")
        try:
            document = write(folder, configuration, path)
        except (OSError, ValueError, KeyError) as error:
            console.warn(f"Out-of-fold predictions{name} can't be put together: {error}.")
            continue
        console.text()
        console.header([("result", _sentence(document)), ("file", str(path))], f"Cross-validation{name}")


def write(folder: Path, runs: FoldRuns, path: Path) -> dict[str, Any]:
    """Write the predictions of all folds to `path` and their metrics beside it. Returns what the latter holds."""
    jobs = [runs.jobs[fold] for fold in range(runs.folds)]
    stored = [read_predictions(RunDir(folder / job["job"]).test) for job in jobs]
    document = _document(runs, jobs, stored, _metric_settings(folder / jobs[0]["job"], stored[0]))
    with replacing_text(path) as file:
        csv.writer(file).writerows(_lines(stored))
    write_json(path.with_suffix(".json"), document)
    return document


def _document(
    runs: FoldRuns,
    jobs: Sequence[Row],
    stored: Sequence[StoredPredictions],
    settings: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    predicted = together(stored)
    values, undefined = compute.compute(settings, predicted, settings)
    counts = [len(evaluation.rows) for evaluation in stored]
    losses = [evaluation.document["loss"] for evaluation in stored]
    names = {name for evaluation in stored for name in evaluation.document["metrics"]}
    return {
        "settings": runs.settings,
        "folds": runs.folds,
        "jobs": [job["job"] for job in jobs],
        "num_samples": sum(counts),
        "num_distinct": len({row[0] for evaluation in stored for row in evaluation.rows}),
        "loss": sum(loss * count for loss, count in zip(losses, counts, strict=True)) / sum(counts),
        "metrics": values,
        "undefined": undefined,
        "over_folds": {
            name: _over_folds([evaluation.document["metrics"].get(name) for evaluation in stored])
            for name in sorted(names)
        },
    }


def _over_folds(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and standard deviation of a metric over the folds that have a value of it."""
    defined = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(defined) if defined else None,
        "std": std(defined),
    }


def _metric_settings(job: Path, stored: StoredPredictions) -> dict[str, Mapping[str, Any]]:
    """The metrics of the jobs with their settings, without those in units of the training: each fold has its own."""
    listed = RunDir(job).read_config()["metrics"]
    settings = {name: values for item in listed if isinstance(item, dict) for name, values in item.items()}
    names = [name for name in stored.document["metrics"] if name in registered and not name.startswith("scaled_")]
    return {name: settings.get(name) or {} for name in names}


def _lines(stored: Sequence[StoredPredictions]) -> Iterator[list[Any]]:
    yield ["fold", *stored[0].header]
    for fold, each in enumerate(stored):
        yield from ([fold, *row] for row in each.rows)


def _sentence(document: Mapping[str, Any]) -> str:
    values = document["metrics"]
    shown = [f"{name} {format_metric(name, values[name])}" for name in _SHOWN if values.get(name) is not None][:3]
    repeated = document["num_samples"] - document["num_distinct"]
    warning = (
        f" {repeated:,} samples are tested by several folds: the folds are not of one division." if repeated else ""
    )
    return f"{', '.join(shown)} over all {document['num_samples']:,} samples of {document['folds']} folds.{warning}"
