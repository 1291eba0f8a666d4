"""Draws the curves of a training run from its `metrics.jsonl`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
from ptrun.loggers.logger import Record
from ptrun.loggers.records import read_records
from ptrun.reports.figure import BLUE, GREEN, INK, ORANGE, RED, legend, new_figure, save, tidy
from ptrun.terminal.format import format_learning_rate, format_metric, is_fraction, metric_title

_PARTS = (("train", BLUE), ("val", ORANGE))
_MOST_MARKERS = 30  # points on a curve beyond which markers merge into a thick line
_WIDE_RANGE = 50.0  # largest / smallest value above which a linear axis hides the end of the curve


def draw_training(records_file: Path, plots_dir: Path) -> list[Path]:
    """Draw loss.png, metrics.png and learning_rate.png into `plots_dir` from the JSON lines of a run.

    Returns the files written: none for a run without records, no metrics.png where only losses were recorded.
    """
    records = [record for record in read_records(records_file) if isinstance(record.get("epoch"), int)]
    names = _names(records)
    metrics = [name for name in names if name != "loss"]
    written = [
        _draw_panels(records, ["loss"] if "loss" in names else [], "Loss", plots_dir / "loss.png"),
        _draw_panels(records, metrics, "Metrics by epoch", plots_dir / "metrics.png"),
        _draw_learning_rate(records, plots_dir / "learning_rate.png"),
    ]
    return [path for path in written if path is not None]


def _names(records: Sequence[Record]) -> list[str]:
    """What was measured ("loss", "accuracy", …), in order of first appearance."""
    keys = [key.split("/", 1) for record in records for key in record if "/" in key]
    return list(dict.fromkeys(name for part, name in keys if part in ("train", "val")))


def _values(records: Sequence[Record], key: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The epochs that have `key`, and its values; a non-finite one is NaN."""
    pairs = [(record["epoch"], record[key]) for record in records if key in record]
    numbers = [float(value) if isinstance(value, int | float) else math.nan for _, value in pairs]
    values = np.asarray(numbers, dtype=float)
    return np.asarray([epoch for epoch, _ in pairs]), np.where(np.isfinite(values), values, np.nan)


def _draw_panels(records: Sequence[Record], names: Sequence[str], title: str, path: Path) -> Path | None:
    if not names:
        return None
    columns = 1 if len(names) == 1 else 2 if len(names) in (2, 4) else 3
    rows = math.ceil(len(names) / columns)
    width, height = (8.0, 4.6) if columns == 1 else (4.6 * columns, 3.4 * rows + 0.5)
    figure = new_figure(width, height, title if len(names) > 1 else metric_title(names[0]))
    for position, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, position)
        _draw_panel(axes, records, name)
        if len(names) > 1:
            axes.set_title(metric_title(name))
    return save(figure, path)


def _draw_panel(axes: Axes, records: Sequence[Record], name: str) -> None:
    bad_epochs: list[int] = []
    points: list[float] = []
    for part, color in _PARTS:
        epochs, values = _values(records, f"{part}/{name}")
        if len(epochs):
            _draw_curve(axes, epochs, values, color, "validation" if part == "val" else part)
            bad_epochs += [int(epoch) for epoch in epochs[np.isnan(values)]]
            points += [float(value) for value in values[np.isfinite(values)]]
    _mark_best(axes, records, name)
    _scale(axes, name, points)
    _epoch_axis(axes, records)
    if bad_epochs:
        axes.plot(
            sorted(set(bad_epochs)), [0.02] * len(set(bad_epochs)), transform=axes.get_xaxis_transform(),
            linestyle="none", marker="x", color=RED, markersize=6, markeredgewidth=1.6, label="non-finite",
        )  # fmt: skip
    tidy(axes)
    legend(axes)


def _draw_curve(axes: Axes, epochs: NDArray[Any], values: NDArray[Any], color: str, label: str) -> None:
    """Draw a line with markers. On a long curve only points between two gaps have one: a line does not show these."""
    finite = np.isfinite(values)
    isolated = finite & ~np.r_[False, finite[:-1]] & ~np.r_[finite[1:], False]
    marked = finite if len(epochs) <= _MOST_MARKERS else isolated
    axes.plot(epochs, values, color=color, linewidth=1.8, label=label, zorder=3)
    axes.plot(epochs[marked], values[marked], color=color, linestyle="none", marker="o", markersize=4.5, zorder=3)


def _mark_best(axes: Axes, records: Sequence[Record], name: str) -> None:
    best = [record for record in records if record.get("best") is True]
    if not best:
        return
    epoch = best[-1]["epoch"]
    axes.axvline(epoch, color=GREEN, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    value = best[-1].get(f"val/{name}", best[-1].get(f"train/{name}"))
    if not isinstance(value, int | float) or not math.isfinite(value):
        axes.plot([], [], color=GREEN, linestyle=(0, (4, 3)), linewidth=1.0, label=f"best epoch {epoch}")
        return
    axes.plot(
        [epoch],
        [value],
        linestyle="none",
        marker="o",
        markersize=10,
        markerfacecolor="none",
        markeredgecolor=GREEN,
        markeredgewidth=2.2,
        zorder=5,
        label=f"best epoch {epoch}: {format_metric(name, value)}",
    )


def _scale(axes: Axes, name: str, points: Sequence[float]) -> None:
    """Choose the axis: percent for fractions, logarithmic for losses that fall far, else plain numbers."""
    from matplotlib.ticker import PercentFormatter

    if not points:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", va="center", color=INK)
        return
    low, high = min(points), max(points)
    if is_fraction(name) and low >= 0 and high <= 1:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
        bottom = max(axes.get_ylim()[0], -0.02)
        axes.set_ylim(bottom, min(axes.get_ylim()[1], 1.0 + 0.04 * (1.0 - bottom)))
    elif low > 0 and high / low > _WIDE_RANGE:
        _log_axis(axes, "%g")
    else:
        axes.ticklabel_format(axis="y", useOffset=False)


def _log_axis(axes: Axes, number: str) -> None:
    from matplotlib.ticker import FormatStrFormatter, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FormatStrFormatter(number))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("logarithmic scale")


def _epoch_axis(axes: Axes, records: Sequence[Record]) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator

    first, last = records[0]["epoch"], records[-1]["epoch"]
    margin = max(0.5, 0.02 * (last - first)) if last - first < 200 else 0.02 * (last - first)
    axes.set_xlim(first - margin, last + margin)
    few = last - first < 8
    axes.xaxis.set_major_locator(FixedLocator(range(first, last + 1)) if few else MaxNLocator(nbins=8, integer=True))
    axes.set_xlabel("epoch")


def _draw_learning_rate(records: Sequence[Record], path: Path) -> Path | None:
    keys = list(dict.fromkeys(key for record in records for key in record if key == "lr" or key.startswith("lr/")))
    if not keys:
        return None
    figure = new_figure(8.0, 3.6, "Learning rate at the end of each epoch")
    axes = figure.add_subplot()
    for key, color in zip(keys, (BLUE, ORANGE, GREEN, RED) * len(keys), strict=False):
        epochs, values = _values(records, key)
        _draw_curve(axes, epochs, values, color, key)
    _learning_rate_axis(axes)
    _epoch_axis(axes, records)
    tidy(axes)
    if len(keys) > 1:
        legend(axes)
    return save(figure, path)


def _learning_rate_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter

    points = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    points = points[np.isfinite(points)]
    if len(points) and points.min() > 0 and points.max() / points.min() > _WIDE_RANGE:
        axes.set_yscale("log")
        axes.set_ylabel("logarithmic scale")
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    elif len(points):
        axes.set_ylim(0, 1.12 * float(points.max()) or 1.0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_learning_rate(value)))
