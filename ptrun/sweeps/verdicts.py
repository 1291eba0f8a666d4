"""The comparisons of a sweep (`sweep.compare`) judged by its runs: a sentence for each, printed and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.config.comparison import TRAIN_LOSS, Comparison, has_settings, parse_comparison
from ptrun.files.atomic import replacing_text
from ptrun.loggers.records import read_records
from ptrun.runs import find
from ptrun.runs.configurations import Configuration, ranked
from ptrun.runs.folder import METRICS
from ptrun.runs.objectives import is_higher_better
from ptrun.sweeps.difference import Difference, difference
from ptrun.sweeps.table import spread_text
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric, is_fraction

FILE = "verdicts.txt"

Row = Mapping[str, Any]


def report(folder: Path, rows: Sequence[Row], console: Console) -> None:
    """Print the verdict on each comparison of a sweep, and write all into its folder."""
    sentences = show(folder, rows, console)
    if sentences:
        with replacing_text(folder / FILE) as file:
            file.write("\n".join(sentences) + "\n")


def show(folder: Path, rows: Sequence[Row], console: Console) -> list[str]:
    """Print the verdict on each comparison of a sweep, and return them."""
    sentences = verdicts(folder, rows)
    if sentences:
        console.text()
        console.text("Comparisons")
    for sentence in sentences:
        console.note(sentence)
    return sentences


def verdicts(folder: Path, rows: Sequence[Row]) -> list[str]:
    """A sentence for each comparison that the plan of a sweep has."""
    plan = find.read_plan(folder)
    texts, metric = plan.get("compare") or [], plan.get("compare_by")
    if not texts:
        return []
    ranking = ranked(measured(folder, rows, metric))
    overrides = {row["job"]: row["overrides"] for row in rows}
    return [_verdict(parse_comparison(text), ranking, overrides) for text in texts]


def measured(folder: Path, rows: Sequence[Row], metric: str | None) -> list[dict[str, Any]]:
    """The rows of a sweep with another metric in the place of the monitored one; None: as they are.

    train/loss is that of the last epoch.
    """
    if metric is None:
        return [dict(row) for row in rows]
    is_higher = is_higher_better(metric)
    return [
        {**row, "monitor": metric, "value": _value(folder, row, metric), "higher_is_better": is_higher} for row in rows
    ]


def _value(folder: Path, row: Row, metric: str) -> float | None:
    if metric != TRAIN_LOSS:
        value = row["test"].get(metric.partition("/")[2])
    else:
        records = read_records(folder / row["job"] / METRICS)
        value = records[-1].get(metric) if records else None
    return None if value is None else float(value)


def _verdict(comparison: Comparison, ranking: Sequence[Configuration], overrides: Mapping[str, Sequence[str]]) -> str:
    best, values = [], []
    for text, settings in comparison.sides:
        matching = [
            configuration
            for configuration in ranking
            if configuration.jobs and has_settings(overrides[configuration.jobs[0]], settings)
        ]
        if not matching:
            return f"{comparison.text} is open: no run with {text} has a result yet."
        best.append(matching[0])
        chosen = f" ({matching[0].settings}, the best of {len(matching)})" if len(matching) > 1 else ""
        values.append(f"{spread_text(matching[0].monitor, matching[0].values)}{chosen}")
    gap = difference(*(configuration.by_repeat for configuration in best))
    metric = best[0].monitor
    numbers = f"{metric.replace('/', ' ')} {values[0]} against {values[1]}"
    if gap is None:
        return f"{comparison.text} is open: {numbers}. One run decides nothing: sweep.seeds=3 makes three."
    return f"{comparison.text} {_judgement(comparison, gap)}: {numbers}, {_difference_text(gap, metric)}."


def _judgement(comparison: Comparison, gap: Difference) -> str:
    if not gap.is_significant:
        return "is undecided, because the difference may be chance"
    return "holds" if (gap.mean > 0) is comparison.is_higher else "does not hold, the opposite is true"


def _difference_text(gap: Difference, metric: str) -> str:
    sign = 1 if gap.mean >= 0 else -1
    low, high = sorted((sign * gap.low, sign * gap.high))
    interval = f"{_amount(metric, low, unit=False)} to {_amount(metric, high, unit=False)}"
    word = "higher" if sign == 1 else "lower"
    return f"{word} by {_amount(metric, sign * gap.mean)}, 95 % interval {interval} ({gap.basis})"


def _amount(metric: str, value: float, *, unit: bool = True) -> str:
    """A difference: of fractions in percentage points."""
    if is_fraction(metric):
        return f"{100 * value:.2f}{' points' if unit else ''}"
    return format_metric(metric, value)
