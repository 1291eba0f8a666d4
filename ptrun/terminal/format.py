"""Numbers, durations and tables as plain text. Standard library only, so that errors and lists come at once."""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_FRACTION = re.compile(r"(.*[/_])?(accuracy|precision|recall|f1|top_?\d*|top_k|mape|error_rate)(_[a-z0-9]+)*")
_ACRONYMS = ("auc", "f1", "mae", "mape", "mse", "rmse", "roc")
_NUMBER = re.compile(r"[-+]?[\d.,:]+(e[-+]\d+)?( ?(%|s|[kMG]?B(/s)?))?|-|nan|-?inf|undefined|")
_ENDS = 5  # of many groups, how many are shown at each end


def is_fraction(name: str) -> bool:
    """Whether a metric is a fraction, which is shown in percent: accuracy, precision, recall, F1, top-k, MAPE."""
    return _FRACTION.fullmatch(name) is not None


def metric_title(name: str) -> str:
    """The name of a metric in a title: "roc_auc" is ROC AUC, "log_loss" is Log loss."""
    words = [word.upper() if word in _ACRONYMS else word for word in name.replace("r2", "R²").split("_")]
    return words[0][:1].upper() + " ".join(words)[1:]


def format_number(value: object) -> str:
    """About five significant digits, thousands separated; "-" for None; texts as they are."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if size < 1e-3 or size >= 1e9:
        return f"{value:.3e}"
    return f"{value:,.{max(0, 4 - math.floor(math.log10(max(size, 1.0))))}f}"


def format_metric(name: str, value: object) -> str:
    """97.31 % for a fraction, the costs of a run with their units, other metrics as `format_number`."""
    if isinstance(value, int | float) and name in _COST_FORMATS:
        return _COST_FORMATS[name](value)
    if is_fraction(name) and isinstance(value, int | float) and math.isfinite(value):
        return f"{100 * value:.2f} %"
    return format_number(float(value) if isinstance(value, int) else value)


def format_learning_rate(value: object) -> str:
    """Three significant digits without padding: 1e-03, 3.16e-04, 0.1."""
    if not isinstance(value, int | float):
        return format_number(value)
    if value == 0 or 0.01 <= abs(value) < 100 or not math.isfinite(value):
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"


def format_seconds(seconds: object) -> str:
    """0.42 s, 12.3 s, 4:05, 1:02:03, 2d 03h."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24}d {hours % 24:02}h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_bytes(num_bytes: float) -> str:
    """870 bytes, 12 kB, 4.5 MB, 1.23 GB: three digits at most, in powers of 1000."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= 0.9995 * size:
            value = num_bytes / size
            return f"{value:,.0f} {unit}" if value >= 99.95 else f"{value:.3g} {unit}"
    return f"{num_bytes:.0f} byte{'s' if num_bytes != 1 else ''}"


# What a run costs, as summary.json names it.
_COST_FORMATS: Mapping[str, Callable[[float], str]] = {
    "parameters": lambda count: f"{count:,.0f}",
    "training_seconds": format_seconds,
    "peak_memory_bytes": format_bytes,
}


def cell_width(text: str) -> int:
    """Terminal cells that `text` takes: East Asian letters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def pad(text: str, width: int, *, right: bool = False) -> str:
    """`text` filled up with spaces to `width` terminal cells."""
    space = " " * max(0, width - cell_width(text))
    return space + text if right else text + space


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[object]], width: int | None = None) -> list[str]:
    """Header and rows as aligned lines, numbers to the right. With `width`, the last column wraps within that width."""
    cells = [[format_number(value) for value in row] for row in rows]
    numeric = [all(_NUMBER.fullmatch(row[i]) for row in cells) and bool(cells) for i in range(len(columns))]
    widths = [max(cell_width(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    lines = []
    for row in [list(columns), *cells]:
        padded = [pad(text, widths[i], right=numeric[i]) for i, text in enumerate(row)]
        line = "  ".join(padded).rstrip()
        if width is not None and cell_width(line) > width and width - indent >= 24 and not numeric[-1]:
            parts = textwrap.wrap(row[-1], width - indent, break_long_words=False, break_on_hyphens=False)
            head = "  ".join(padded[:-1])
            lines += [f"{head}  {parts[0]}".lstrip() if len(columns) == 1 else f"{head}  {parts[0]}"]
            lines += [" " * indent + part for part in parts[1:]]
        else:
            lines.append(line)
    return lines


def table_width(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Cells of the widest line of a table."""
    return max(map(cell_width, table_lines(columns, rows)))


def metrics_table(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]], list[str]]:
    """Columns, rows and notes of the table for an evaluation's `metrics.json`.

    The baselines stand beside the model's values; notes say why metrics are undefined.
    """
    baselines: Mapping[str, Mapping[str, Any]] = document.get("baselines") or {}
    undefined: Mapping[str, str] = document.get("undefined") or {}
    metrics = {"loss": document.get("loss"), **(document.get("metrics") or {})}
    names = [name for name in metrics if name not in undefined and metrics[name] is not None]
    rows = [
        [name, *(format_metric(name, values.get(name)) for values in (metrics, *baselines.values()))] for name in names
    ]
    rows += [[name, "undefined", *("-" for _ in baselines)] for name in undefined]
    by_reason: dict[str, list[str]] = {}
    for name, reason in undefined.items():
        by_reason.setdefault(reason, []).append(name)
    notes = [
        f"{', '.join(alike)} {'is' if len(alike) == 1 else 'are'} undefined: {reason}"
        for reason, alike in by_reason.items()
    ]
    return ["metric", str(document.get("split", "value")), *baselines], rows, notes


def group_table(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of results by group: all of a few groups, or the worst and the best of many.

    Groups are in the order of their names, of many in the order of the first metric.
    """
    groups: Mapping[str, Mapping[str, Any]] = document["per_group"]["groups"]
    names = list(next(iter(groups.values()))["metrics"])
    shown = list(groups)
    if len(groups) > 2 * _ENDS:
        shown.sort(key=lambda group: _sortable(groups[group]["metrics"][names[0]]))
        shown = [*shown[:_ENDS], "", *shown[-_ENDS:]]
    left_out = ["...", *("" for _ in range(len(names) + 1))]
    rows = [
        [
            group,
            f"{groups[group]['num_samples']:,}",
            *(format_metric(name, groups[group]["metrics"][name]) for name in names),
        ]
        if group in groups
        else left_out
        for group in shown
    ]
    return [document["per_group"]["column"], "samples", *names], rows


def _sortable(value: float | None) -> float:
    return math.inf if value is None else value
