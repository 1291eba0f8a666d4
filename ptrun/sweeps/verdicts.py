"""The comparisons of a sweep (`sweep.compare`) judged by its runs: a sentence for each, printed and written."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.config import schema
from ptrun.config.comparison import TRAIN_LOSS, Comparison, has_settings, parse_comparison
from ptrun.files.atomic import replacing_text
from ptrun.loggers.records import read_records
from ptrun.runs import find
from ptrun.runs.configurations import Configuration, ranked
from ptrun.runs.folder import METRICS
from ptrun.sweeps.difference import Difference, difference
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric, is_fraction

FILE = "verdicts.txt"

Row = Mapping[str, Any]


def report(folder: Path, rows: Sequence[Row], console: Console) -> None:
    """Print the verdict on each comparison of a sweep, and write all into its folder."""
    sentences = verdicts(folder, rows)
    if not sentences:
        return
    console.text()
    console.text("Comparisons")
    for sentence in sentences:
        console.note(sentence)
    with replacing_text(folder / FILE) as file:
        file.write("\n".join(sentences) + "\n")


def verdicts(folder: Path, rows: Sequence[Row]) -> list[str]:
    """A sentence for each comparison that the plan of a sweep has."""
    plan = find.read_plan(folder)
    texts, metric = plan.get("compare") or [], plan.get("compare_by")
    if not texts:
        return []
    places = ranked(measured(folder, rows, metric))
    overrides = {row["job"]: row["overrides"] for row in rows}
    return [_verdict(parse_comparison(text), places, overrides) for text in texts]


def measured(folder: Path, rows: Sequence[Row], metric: str | None) -> list[dict[str, Any]]:
    """The rows of a sweep with another metric in the place of the monitored one; None: as they are.

    train/loss is that of the last epoch.
    """
    if metric is None:
        return [dict(row) for row in rows]
    name = metric.partition("/")[2]
    declared = schema.find("metric", name)
    is_higher = declared is not None and "higher" in declared.facts.get("better", ())
    return [
        {**row, "monitor": metric, "value": _value(folder, row, metric, name), "higher_is_better": is_higher}
        for row in rows
    ]


def _value(folder: Path, row: Row, metric: str, name: str) -> float | None:
    if metric != TRAIN_LOSS:
        value = row["test"].get(name)
    else:
        records = read_records(folder / row["job"] / METRICS)
        value = records[-1].get(metric) if records else None
    return None if value is None else float(value)


def _verdict(comparison: Comparison, places: Sequence[Configuration], overrides: Mapping[str, Sequence[str]]) -> str:
    sides = [(comparison.first_text, comparison.first), (comparison.second_text, comparison.second)]
    texts, best = [], []
    for text, settings in sides:
        matching = [place for place in places if place.jobs and has_settings(overrides[place.jobs[0]], settings)]
        if not matching:
            return f"{comparison.first_text} against {comparison.second_text}: no run with {text} is done yet."
        best.append(matching[0])
        name = text if len(matching) == 1 else f"{matching[0].settings} (the best of {len(matching)})"
        texts.append(f"{name}: {_mean_text(matching[0])}")
    first, second = best
    found = difference(first.by_repeat, second.by_repeat)
    numbers = f"{texts[0]}; {texts[1]}."
    if found is None:
        return f"{numbers} One run decides nothing: sweep.seeds=3 makes three."
    return f"{numbers} {_sentence(comparison, found, first.monitor)}"


def _sentence(comparison: Comparison, found: Difference, metric: str) -> str:
    sign = 1 if comparison.is_higher else -1
    low, high = sorted((sign * found.low, sign * found.high))
    word = "Higher" if comparison.is_higher else "Lower"
    numbers = (
        f"{word} by {_amount(metric, sign * found.mean)}, 95 % interval {_amount(metric, low, unit=False)} to "
        f"{_amount(metric, high)} ({found.basis})"
    )
    if not found.is_significant:
        return f"{numbers}: undecided, for the difference may be chance."
    return f"{numbers}: as claimed." if sign * found.mean > 0 else f"{numbers}: the opposite of what is claimed."


def _amount(metric: str, value: float, *, unit: bool = True) -> str:
    """A difference: of fractions in percentage points."""
    if is_fraction(metric):
        return f"{100 * value:.2f}{' points' if unit else ''}"
    return format_metric(metric, value)


def _mean_text(place: Configuration) -> str:
    """`test accuracy 94.10 ± 0.30 %`."""
    name, mean = place.monitor.replace("/", " "), place.mean
    if len(place.values) < 2:
        return f"{name} {format_metric(place.monitor, mean)}"
    deviation = statistics.stdev(place.values)
    if is_fraction(place.monitor):
        return f"{name} {100 * mean:.2f} ± {100 * deviation:.2f} %"
    return f"{name} {format_metric(place.monitor, mean)} ± {format_metric(place.monitor, deviation)}"
