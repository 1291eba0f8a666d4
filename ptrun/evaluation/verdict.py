"""What the results of a run amount to, in one sentence: better than a simple baseline? Trained enough, or too long?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ptrun.metrics import compute
from ptrun.spec import Task
from ptrun.terminal.format import format_metric

Record = Mapping[str, Any]

_SAME_SHARE = 0.02  # of the baseline's value: numbers that differ by less are called equal
_RISE = 1.1  # a validation loss that ends above this multiple of its lowest value has risen
_MIN_EPOCHS = 3  # fewer show no trend


def verdict(document: Mapping[str, Any], records: Sequence[Record], monitor: str, *, higher_is_better: bool) -> str:
    """One sentence on a finished run; "" when there is nothing to say.

    document: what metrics.json holds of the test split. records: those of all epochs. monitor: "val/METRIC".
    """
    validated = [record for record in records if _number(record.get("val/loss")) is not None]
    parts = [part for part in (_against_baseline(document), _course(validated, monitor, higher_is_better)) if part]
    if not parts:
        return ""
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _against_baseline(document: Mapping[str, Any]) -> str:
    """Below, at or above the strongest of the baselines."""
    name = _compared_metric(document)
    if not name:
        return ""
    sign = 1 if compute.better(name) == "higher" else -1
    value = document["metrics"][name]
    values = {baseline: found[name] for baseline, found in document["baselines"].items() if name in found}
    strongest = max(values, key=lambda baseline: sign * values[baseline])
    gain = sign * (value - values[strongest])
    margin = _margin(document, values[strongest])
    word = "better than" if gain > margin else "worse than" if gain < -margin else "not clearly better than"
    numbers = f"{name} {format_metric(name, value)}, {strongest} {format_metric(name, values[strongest])}"
    return f"{word} the best simple baseline ({numbers})"


def _compared_metric(document: Mapping[str, Any]) -> str:
    """The task's first metric, or another that both the model and a baseline have; "" when there is none."""
    compared = {name for found in document.get("baselines", {}).values() for name in found}
    shared = [name for name in document["metrics"] if name in compared and compute.is_shipped(name)]
    primary = compute.primary_metric(Task(document["task"]))
    return primary if primary in shared else (shared[0] if shared else "")


def _margin(document: Mapping[str, Any], baseline: float) -> float:
    """By how much a value has to differ: two standard errors of a share of samples, or a small part of a number."""
    if Task(document["task"]) is Task.CLASSIFICATION:
        return 2 * math.sqrt(max(baseline * (1 - baseline), 0.0) / document["num_samples"])
    return _SAME_SHARE * abs(baseline)


def _course(validated: Sequence[Record], monitor: str, higher_is_better: bool) -> str:
    """Whether the validations still got better at the end, or worse since an epoch."""
    if len(validated) < _MIN_EPOCHS:
        return ""
    lowest = min(range(len(validated)), key=lambda position: validated[position]["val/loss"])
    best, last = validated[lowest], validated[-1]
    learns_on = last["train/loss"] is not None and last["train/loss"] < best["train/loss"]
    if learns_on and last["val/loss"] > _RISE * best["val/loss"] > 0:
        losses = f"{format_metric('val/loss', best['val/loss'])} to {format_metric('val/loss', last['val/loss'])}"
        return (
            f"overfitting from epoch {validated[lowest + 1]['epoch']}: the validation loss rose from {losses} "
            "while the training loss fell"
        )
    if _is_best_yet(validated, monitor, higher_is_better):
        return "still improving at the last epoch, so more epochs may help"
    return ""


def _is_best_yet(validated: Sequence[Record], monitor: str, higher_is_better: bool) -> bool:
    """Whether the last validation has a better monitored value than each before it."""
    sign = 1 if higher_is_better else -1
    values = [-math.inf if (value := _number(record.get(monitor))) is None else sign * value for record in validated]
    return values[-1] > max(values[:-1])


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None
