"""The monitored metric by each axis of a sweep: points for configurations, lines where an axis has few values."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.reports.figure import BLUE, SOFT, add_caption, new_figure, save, tidy
from ptrun.reports.sweep.data import Axis, Setting, SweepData
from ptrun.reports.sweep.look import (
    MARKERS,
    color_of,
    is_wide,
    label_lines,
    metric_axis,
    metric_name,
    metric_text,
    place,
    ring,
    setting_axis,
    setting_text,
    title_of,
)
from ptrun.terminal.format import is_fraction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PANELS = 6
_MOST_LINES = 5
_FEW_VALUES = 10
_FAR = 30  # times the distance from the median to the best


def draw(data: SweepData, path: Path) -> Path | None:
    """Draw a panel for each axis, the most important first; none when nothing is varied or done."""
    axes = data.axes_by_importance[:_MOST_PANELS]
    if not axes or not data.finished:
        return None
    columns = min(len(axes), 3 if len(axes) != 4 else 2)
    rows = -(-len(axes) // columns)
    width, height = (7.6, 4.6) if len(axes) == 1 else (4.3 * columns + 0.6, 3.6 * rows + 0.8)
    figure = new_figure(width, height, _title(data))
    ends = _ends(data)
    for number, axis in enumerate(axes, start=1):
        panel = figure.add_subplot(rows, columns, number)
        metric_axis(panel, data.monitor, _drawn_range(ends, data))
        setting_axis(panel, axis)
        _draw_panel(panel, data, axis)
        tidy(panel, grid="y")
        if (number - 1) % columns == 0:
            panel.set_ylabel(metric_name(data.monitor))
    low, high = panel.get_ylim()
    outside = sum(not low <= point.mean <= high for point in data.points)
    add_caption(figure, _caption(data, axes, outside))
    return save(figure, path)


def _title(data: SweepData) -> str:
    best = max(data.finished, key=lambda point: point.mean if data.higher_is_better else -point.mean)
    return f"{title_of(data.monitor)} by setting: {metric_text(data.monitor, best.mean)} at best"


def _ends(data: SweepData) -> list[float]:
    """The ends of all bars. One that reaches below 0 does not keep positive values off a logarithmic axis."""
    means = [point.mean for point in data.points]
    lows = [point.mean - point.std for point in data.points]
    highs = [point.mean + point.std for point in data.points]
    return [*(means if min(lows) <= 0 and is_wide(min(means), max(means)) else lows), *highs]


def _drawn_range(values: Sequence[float], data: SweepData) -> list[float]:
    """The values that fit on the axis: not those of diverged runs, which would make all others a flat line."""
    middle, best = statistics.median(values), max(values) if data.higher_is_better else min(values)
    if is_fraction(data.monitor.rpartition("/")[2]) or middle == best:
        return list(values)
    if data.higher_is_better:
        return [value for value in values if value > middle - _FAR * (best - middle)]
    reach = 1000 * middle if best > 0 else middle + _FAR * (middle - best)
    return [value for value in values if value < reach]


def _draw_panel(panel: Axes, data: SweepData, axis: Axis) -> None:
    others = [other for other in data.axes if other is not axis]
    if _has_lines(data, axis):
        _draw_lines(panel, data, axis, others[0] if others else None)
    else:
        _draw_points(panel, data, axis)
    best = data.finished[0]
    if axis.key in best.settings:
        ring(panel, place(axis, best), best.mean)


def _has_lines(data: SweepData, axis: Axis) -> bool:
    """Whether an axis of few numbers is drawn with a line for each value of the only other axis."""
    others = [other for other in data.axes if other is not axis]
    is_short = axis.is_numeric and len(axis.values) <= _FEW_VALUES
    return is_short and len(others) <= 1 and all(len(other.values) <= _MOST_LINES for other in others)


def _has_medians(axis: Axis) -> bool:
    return not axis.is_numeric or len(axis.values) <= _FEW_VALUES


def _draw_lines(panel: Axes, data: SweepData, axis: Axis, other: Axis | None) -> None:
    """One line for each value of the other axis, with the spread over the runs of each point."""
    ends = []
    groups: Sequence[Setting | None] = other.values if other else [None]
    for marker, value in zip(MARKERS, groups, strict=False):
        points = [point for point in data.finished if other is None or point.settings.get(other.key) == value]
        points = sorted(
            (p for p in points if axis.key in p.settings), key=lambda p: axis.position(p.settings[axis.key])
        )
        if not points:
            continue
        color = BLUE if other is None or value is None else color_of(other, value)
        x = [axis.position(point.settings[axis.key]) for point in points]
        y = [point.mean for point in points]
        spread = [point.std for point in points] if data.most_runs > 1 else None
        panel.errorbar(x, y, spread, color=color, marker=marker, markersize=6, linewidth=1.8, elinewidth=1.2, capsize=3)
        if other is not None and value is not None:
            ends.append((y[-1], setting_text(value), color))
    if other is not None and ends:
        label_lines(panel, ends, panel.get_xlim()[1])
        panel.set_title(f"lines: {other.key}", loc="right", fontsize=9, color=SOFT, parse_math=False)


def _draw_points(panel: Axes, data: SweepData, axis: Axis) -> None:
    """A point for each configuration, and the median of those with the same value."""
    for is_pruned in (True, False):
        points = [p for p in data.points if p.is_pruned is is_pruned and axis.key in p.settings]
        x = [place(axis, p) for p in points]
        face = "none" if is_pruned else BLUE
        panel.plot(
            x, [p.mean for p in points], "o", markersize=5, markerfacecolor=face, linestyle="none",
            markeredgecolor=SOFT if is_pruned else BLUE, markeredgewidth=0.9, alpha=0.55 if is_pruned else 0.7,
        )  # fmt: skip
    if _has_medians(axis):
        _draw_medians(panel, data, axis)


def _draw_medians(panel: Axes, data: SweepData, axis: Axis) -> None:
    medians = []
    for value in axis.values:
        means = [point.mean for point in data.finished if point.settings.get(axis.key) == value]
        if means:
            medians.append((axis.position(value), statistics.median(means)))
    x, y = zip(*medians, strict=True) if medians else ((), ())
    if axis.is_numeric:
        panel.plot(x, y, color=SOFT, linewidth=1.6, zorder=4)
    else:
        panel.hlines(y, [at - 0.32 for at in x], [at + 0.32 for at in x], color=SOFT, linewidth=2.2, zorder=4)


def _caption(data: SweepData, axes: Sequence[Axis], outside: int) -> str:
    runs = data.most_runs
    parts = [f"Each point is the mean of up to {runs} runs" if runs > 1 else "Each point is one run"]
    if runs > 1 and any(_has_lines(data, axis) for axis in axes):
        parts[0] += ", bars ± 1 standard deviation"
    parts.append("the ring is the best")
    if any(_has_medians(axis) and not _has_lines(data, axis) for axis in axes):
        parts.append("gray lines are medians")
    if any(point.is_pruned for point in data.points):
        parts.append("hollow points were pruned, at their last epoch")
    if outside:
        parts.append(f"{outside} far worse than the others {'is' if outside == 1 else 'are'} not shown")
    return "; ".join(parts) + "."
