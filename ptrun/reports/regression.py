"""Pictures of predicted numbers: a forecast over time, and predicted against true values.

All values are in the original units of the target, as in `predictions.csv`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
from ptrun.reports.figure import BLUE, GREEN, INK, ORANGE, SOFT, legend, new_figure, save, shorten, tidy
from ptrun.terminal.format import format_metric, format_number, metric_title

_MOST_PANELS = 4
_MOST_POINTS = 400  # of a line: more can't be followed across one panel
_ZOOM_SAMPLES = 60  # in the enlarged panel
_MOST_DOTS = 5000

Document = Mapping[str, Any]


@dataclass(frozen=True)
class PredictionTable:
    """The content of `predictions.csv`: true and predicted values [samples, targets], and the names of both axes."""

    samples: list[str]
    names: list[str]
    true: NDArray[Any]
    predicted: NDArray[Any]


def read_predictions(path: Path) -> PredictionTable:
    """Read the columns `target_NAME` and `predicted_NAME`; an empty or unreadable cell is NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        columns, *rows = list(csv.reader(file)) or [[]]
    names = [column.removeprefix("target_") for column in columns if column.startswith("target_")]
    names = [name for name in names if f"predicted_{name}" in columns]

    def values(prefix: str) -> NDArray[Any]:
        indices = [columns.index(prefix + name) for name in names]
        return np.array([_numbers([row[i] if i < len(row) else "" for i in indices]) for row in rows], dtype=float)

    samples = [row[columns.index("sample")] if "sample" in columns else "" for row in rows]
    return PredictionTable(samples, names, values("target_"), values("predicted_"))


def _numbers(cells: list[str]) -> list[float]:
    """A row as numbers, in one call where all cells are numbers: a forecast has millions of cells."""
    try:
        return list(map(float, cells))
    except ValueError:
        return [_number(cell) for cell in cells]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def draw_forecast(predictions: PredictionTable, document: Document, path: Path) -> Path:
    """Draw truth and forecast over the whole test period, and its last samples enlarged; up to four targets."""
    panels = _forecast_panels(len(predictions.names), int(document["horizon"]))
    figure = new_figure(13.0, 0.8 + 3.0 * max(len(panels), 1.2), f"Forecast against truth, {_scores(document)}")
    x, label = _positions(predictions.samples)
    zoomed = len(x) > _ZOOM_SAMPLES
    for row, target in enumerate(panels):
        name = shorten(predictions.names[target], 40)
        true, predicted = predictions.true[:, target], predictions.predicted[:, target]
        whole = figure.add_subplot(len(panels), 5, (5 * row + 1, 5 * row + (3 if zoomed else 5)))
        width = -(-len(x) // _MOST_POINTS)
        _draw_lines(whole, _thin(x, width), _thin(true, width), _thin(predicted, width))
        whole.set_title(name if width == 1 else f"{name} (means of {width} samples)")
        whole.set_ylabel(name)
        _finish_time_panel(whole, x, label)
        legend(whole)
        if zoomed:
            close = figure.add_subplot(len(panels), 5, (5 * row + 4, 5 * row + 5))
            _draw_lines(close, x[-_ZOOM_SAMPLES:], true[-_ZOOM_SAMPLES:], predicted[-_ZOOM_SAMPLES:], marker="o")
            close.set_title(f"the last {_ZOOM_SAMPLES} samples")
            _finish_time_panel(close, x, label)
    return save(figure, path)


def _forecast_panels(count: int, horizon: int) -> list[int]:
    """The targets to draw of `count` = horizon x columns: all if there are few, else the first and last steps."""
    columns = max(count // max(horizon, 1), 1)
    if count <= _MOST_PANELS:
        return list(range(count))
    if columns > 2:
        return list(range(_MOST_PANELS))
    last = count - columns
    return [*range(columns), *range(last, count)]


def _positions(samples: Sequence[str]) -> tuple[NDArray[Any], str]:
    """The place of each sample in time, and what it counts: dates, rows of the source, or samples of the split."""
    try:
        return np.asarray([datetime.fromisoformat(sample) for sample in samples], dtype="datetime64[s]"), "date"
    except ValueError:
        rows = [re.fullmatch(r"rows? (\d+)(?: to \d+)?", sample) for sample in samples]
    numbers = np.asarray([int(row[1]) for row in rows if row], dtype=float)
    if len(numbers) == len(samples) and (np.diff(numbers) > 0).all():
        return numbers, "row of the series"
    return np.arange(len(samples), dtype=float), "sample of the split"


def _thin(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Means of `width` neighbours, the remainder at the end dropped."""
    if width <= 1:
        return values
    count = len(values) // width
    if values.dtype.kind == "M":
        return values[: count * width : width]
    means: NDArray[Any] = values[: count * width].reshape(count, width).mean(axis=1)
    return means


def _draw_lines(
    axes: Axes, x: NDArray[Any], true: NDArray[Any], predicted: NDArray[Any], marker: str | None = None
) -> None:
    marker = "o" if len(x) <= _ZOOM_SAMPLES else marker
    axes.plot(x, true, color=INK, linewidth=1.4, label="truth", marker=marker, markersize=2.6)
    axes.plot(x, predicted, color=ORANGE, linewidth=1.4, alpha=0.95, label="forecast", marker=marker, markersize=2.6)


def _finish_time_panel(axes: Axes, x: NDArray[Any], label: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    if x.dtype.kind == "M":
        locator = AutoDateLocator(minticks=3)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if len(x) == 1:
        axes.set_xticks(list(x))
    axes.set_xlabel(label)
    tidy(axes)


def _scores(document: Document) -> str:
    """The split, its main metric, and the same metric of the best baseline."""
    split = f"{document.get('split', 'test')} split"
    metrics: Mapping[str, Any] = document.get("metrics") or {}
    name = next((name for name in ("rmse", "mae", *metrics) if metrics.get(name) is not None), None)
    if name is None:
        return split
    naive = {
        baseline: scores[name]
        for baseline, scores in (document.get("baselines") or {}).items()
        if scores.get(name) is not None
    }
    own = f"{split}: {metric_title(name)} {format_metric(name, metrics[name])}"
    if not naive or name not in ("rmse", "mae"):
        return own
    best = min(naive, key=lambda baseline: naive[baseline])  # all of them do not fit into a title
    return f"{own} ({shorten(best, 40)}: {format_metric(name, naive[best])})"


def draw_predicted_vs_true(predictions: PredictionTable, document: Document, path: Path) -> Path:
    """Draw predicted over true values with the line of perfect prediction, and the errors; up to four targets."""
    count = min(len(predictions.names), _MOST_PANELS)
    figure = new_figure(10.0, 0.7 + 4.2 * count, f"Predicted against true values, {_scores(document)}")
    for row in range(count):
        name = shorten(predictions.names[row], 40)
        true, predicted = predictions.true[:, row], predictions.predicted[:, row]
        finite = np.isfinite(true) & np.isfinite(predicted)
        scatter, spread = figure.add_subplot(count, 2, 2 * row + 1), figure.add_subplot(count, 2, 2 * row + 2)
        _draw_scatter(scatter, true[finite], predicted[finite], name)
        _draw_residuals(spread, predicted[finite] - true[finite], name)
    return save(figure, path)


def _draw_scatter(axes: Axes, true: NDArray[Any], predicted: NDArray[Any], name: str) -> None:
    step = -(-len(true) // _MOST_DOTS) or 1
    opacity = 0.75 if len(true) < 300 else 0.35 if len(true) < 2000 else 0.15
    axes.plot(true[::step], predicted[::step], "o", color=BLUE, markersize=4, alpha=opacity, markeredgewidth=0)
    if len(true):
        low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
        pad = 0.04 * (high - low) or abs(high) * 0.05 or 1.0
        ends = (low - pad, high + pad)
        axes.plot(ends, ends, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)), label="predicted = true")
        axes.set(xlim=ends, ylim=ends)
    axes.set_aspect("equal")
    axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title=name)
    tidy(axes)
    legend(axes)


def _draw_residuals(axes: Axes, residuals: NDArray[Any], name: str) -> None:
    if len(residuals):
        axes.hist(residuals, bins=min(50, max(8, int(len(residuals) ** 0.5))), color=BLUE, alpha=0.8, edgecolor="white")
        mean = float(residuals.mean())
        axes.axvline(0, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.axvline(mean, color=GREEN, linewidth=1.6, label=f"mean {format_number(mean)}")
    axes.set(xlabel=f"predicted − true {name}", ylabel="samples", title="residuals")
    tidy(axes, grid="y")
    legend(axes)
