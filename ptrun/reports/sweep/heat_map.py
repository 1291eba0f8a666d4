"""The two most important axes of a sweep against each other: a table of means, or a map of single points."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.reports.figure import GREEN, PALE, SOFT, add_caption, new_figure, save, tidy
from ptrun.reports.sweep.data import Axis, Setting, SweepData
from ptrun.reports.sweep.look import (
    PAPER,
    goodness,
    metric_text,
    on_shade,
    place,
    ring,
    setting_axis,
    setting_text,
    shade,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CELLS = 14  # in a row or column

Cells = Mapping[tuple[Setting, Setting], float]


def draw(data: SweepData, path: Path) -> Path | None:
    """Draw the table where most pairs of values were tried, else the map; none with fewer than two axes."""
    axes = data.axes_by_importance[:2]
    if len(axes) < 2 or len(data.finished) < 3:
        return None
    down, across = sorted(axes, key=lambda axis: len(axis.values))
    cells = _cells(data, across, down)
    is_table = max(len(down.values), len(across.values)) <= _MOST_CELLS
    if is_table and 2 * len(cells) >= len(down.values) * len(across.values):
        return _draw_table(data, across, down, cells, path)
    if len(data.finished) < 6:
        return None
    return _draw_map(data, across, down, path)


def _cells(data: SweepData, across: Axis, down: Axis) -> Cells:
    """The mean over the configurations of each pair of values."""
    values: dict[tuple[Setting, Setting], list[float]] = {}
    for point in data.finished:
        if across.key in point.settings and down.key in point.settings:
            values.setdefault((point.settings[across.key], point.settings[down.key]), []).append(point.mean)
    return {pair: statistics.fmean(means) for pair, means in values.items()}


def _draw_table(data: SweepData, across: Axis, down: Axis, cells: Cells, path: Path) -> Path:
    from matplotlib.patches import Rectangle

    columns, rows = len(across.values), len(down.values)
    others = [axis.key for axis in data.axes if axis not in (across, down)]
    over = f"Means over {', '.join(others)}; stronger" if others else "Stronger"
    title = f"{title_of(data.monitor)} by {down.key} and {across.key}"
    figure = new_figure(max(1.05 * columns + 2.2, 0.105 * len(title) + 0.6), 0.62 * rows + 1.9, title)
    panel = figure.add_subplot()
    low, high = _ends(list(cells.values()), data.higher_is_better)
    sign = 1 if data.higher_is_better else -1
    best = max(cells, key=lambda pair: sign * cells[pair])
    for x, right in enumerate(across.values):
        for y, up in enumerate(down.values):
            value = cells.get((right, up))
            share = 0.0 if value is None else goodness(value, low, high, data.higher_is_better)
            color = PALE if value is None else shade(share)
            panel.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=color, edgecolor=PAPER, linewidth=2))
            text, ink = ("–", SOFT) if value is None else (metric_text(data.monitor, value), on_shade(share))
            panel.text(x, y, text, ha="center", va="center", fontsize=9.5, color=ink)
    x, y = list(across.values).index(best[0]), list(down.values).index(best[1])
    panel.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, edgecolor=GREEN, linewidth=3))
    panel.set(xlim=(-0.5, columns - 0.5), ylim=(-0.5, rows - 0.5), xlabel=across.key, ylabel=down.key)
    panel.set_xticks(range(columns), [setting_text(value) for value in across.values], parse_math=False)
    panel.set_yticks(range(rows), [setting_text(value) for value in down.values], parse_math=False)
    tidy(panel)
    panel.grid(False)
    panel.spines[:].set_visible(False)
    add_caption(figure, f"{over} color is better, the frame is the best.")
    return save(figure, path)


def _ends(values: Sequence[float], higher_is_better: bool) -> tuple[float, float]:
    """The worst and best value of the color scale; values far worse than the middle all have the weakest color."""
    low, high = min(values), max(values)
    middle = statistics.median(values)
    if higher_is_better:
        return max(low, middle - 4 * (high - middle)) if high > middle else low, high
    return low, min(high, middle + 4 * (middle - low)) if middle > low else high


def _draw_map(data: SweepData, across: Axis, down: Axis, path: Path) -> Path:
    title = f"{title_of(data.monitor)} over {across.key} and {down.key}"
    figure = new_figure(8.4, 5.4, title)
    panel = figure.add_subplot()
    setting_axis(panel, across)
    setting_axis(panel, down, "y")
    points = [p for p in data.points if across.key in p.settings and down.key in p.settings]
    values = [point.mean for point in points if not point.is_pruned]
    low, high = _ends(values, data.higher_is_better)
    for point in sorted(points, key=lambda p: p.mean, reverse=not data.higher_is_better):
        x, y = place(across, point), place(down, point)
        color = shade(goodness(point.mean, low, high, data.higher_is_better))
        face = "none" if point.is_pruned else color
        panel.plot([x], [y], "o", markersize=9, markerfacecolor=face, markeredgecolor=color, markeredgewidth=1.4)
    _name_best(panel, data, across, down)
    tidy(panel)
    hollow = "; hollow points were pruned" if any(point.is_pruned for point in points) else ""
    worst, best = (low, high) if data.higher_is_better else (high, low)
    ends = f"from {metric_text(data.monitor, worst)} to {metric_text(data.monitor, best)}"
    add_caption(figure, f"Stronger color is better: {ends}; the ring is the best{hollow}.")
    return save(figure, path)


def _name_best(panel: Axes, data: SweepData, across: Axis, down: Axis) -> None:
    best = data.finished[0]
    if across.key in best.settings and down.key in best.settings:
        ring(panel, place(across, best), place(down, best))
