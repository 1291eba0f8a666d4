"""Parallel coordinates: a line for each configuration of a sweep, through its values on all axes to its result."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.reports.figure import GREEN, INK, SOFT, SPINE, add_caption, new_figure, save, shorten
from ptrun.reports.sweep.data import Axis, Point, SweepData
from ptrun.reports.sweep.look import (
    PAPER,
    goodness,
    height,
    is_wide,
    metric_name,
    metric_text,
    setting_text,
    shade,
    unit_position,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_AXES = 8
_MOST_TICKS = 12
_CROWD = 100  # lines
_ABSENT = -0.16  # where a line runs whose configuration does not have the setting


def draw(data: SweepData, path: Path) -> Path | None:
    """Draw the lines, the better the stronger; none with fewer than three axes or five configurations."""
    axes = data.axes_by_importance[:_MOST_AXES]
    if len(axes) < 3 or len(data.finished) < 5:
        return None
    figure = new_figure(
        1.9 * (len(axes) + 1) + 1.2,
        5.2,
        f"All {len(data.points)} configurations: settings and {metric_name(data.monitor)}",
    )
    panel = figure.add_subplot()
    panel.set_axis_off()
    values = [point.mean for point in data.points]
    low, high = _limits(values)
    has_absent = any(axis.key not in point.settings for axis in axes for point in data.points)
    for point in reversed(data.points):
        _draw_line(panel, data, axes, point, low, high)
    for x, axis in enumerate(axes):
        _draw_axis(panel, x, axis, has_absent and any(axis.key not in point.settings for point in data.points))
    _draw_metric(panel, data, len(axes), low, high)
    panel.set(xlim=(-0.45, len(axes) + 0.6), ylim=(_ABSENT - 0.08 if has_absent else -0.08, 1.18))
    pruned = "; thin dashed lines were pruned" if any(point.is_pruned for point in data.points) else ""
    add_caption(figure, f"Stronger color is better, the green line is the best{pruned}.")
    return save(figure, path)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis of the metric, without values that are far from the others."""
    if len(values) < 4 or is_wide(min(values), max(values)):
        return min(values), max(values)
    lower, _, upper = statistics.quantiles(values, n=4)
    reach = 3 * (upper - lower) or 1.0
    return max(min(values), lower - reach), min(max(values), upper + reach)


def _draw_line(panel: Axes, data: SweepData, axes: Sequence[Axis], point: Point, low: float, high: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    y = [unit_position(axis, point.settings[axis.key]) if axis.key in point.settings else _ABSENT for axis in axes]
    y.append(height(point.mean, low, high))
    vertices, codes = [(0.0, y[0])], [Curve.MOVETO]
    for x in range(len(y) - 1):
        vertices += [(x + 0.4, y[x]), (x + 0.6, y[x + 1]), (x + 1.0, y[x + 1])]
        codes += [Curve.CURVE4] * 3
    is_best = point is data.finished[0]
    is_crowded = len(data.points) > _CROWD
    color = GREEN if is_best else shade(0.25 + 0.75 * goodness(point.mean, low, high, data.higher_is_better))
    width = 3.0 if is_best else 0.9 if point.is_pruned or is_crowded else 1.5
    panel.add_patch(
        PathPatch(
            Curve(vertices, codes), fill=False, edgecolor=color, linewidth=width, zorder=4 if is_best else 2,
            linestyle=(0, (3, 2)) if point.is_pruned else "solid", alpha=1.0 if is_best else 0.4 if is_crowded else 0.8,
        )
    )  # fmt: skip


def _draw_axis(panel: Axes, x: int, axis: Axis, has_absent: bool) -> None:
    panel.plot([x, x], [0, 1], color=SPINE, linewidth=1.4, zorder=3)
    panel.text(
        x, 1.13, shorten(axis.key, 24), ha="center", va="center", fontsize=9.5, color=INK, fontweight="bold",
        parse_math=False,
    )  # fmt: skip
    values = axis.values if len(axis.values) <= _MOST_TICKS else [axis.values[0], axis.values[-1]]
    for value in values:
        _write(panel, x, unit_position(axis, value), setting_text(value))
    if has_absent:
        panel.text(x, _ABSENT - 0.045, "not used", fontsize=8.5, ha="center", va="center", color=SOFT)


def _draw_metric(panel: Axes, data: SweepData, x: int, low: float, high: float) -> None:
    panel.plot([x, x], [0, 1], color=SPINE, linewidth=1.4, zorder=3)
    panel.text(x, 1.13, metric_name(data.monitor), ha="center", fontsize=9.5, color=INK, fontweight="bold", va="center")
    best = data.finished[0].mean
    places = {0.0: low, 1.0: high, height(best, low, high): best}
    for place, value in places.items():
        is_near = place not in (0.0, 1.0) and min(place, 1 - place) < 0.05
        if not is_near:
            panel.text(x + 0.06, place, metric_text(data.monitor, value), fontsize=9, va="center", color=INK, zorder=5)


def _write(panel: Axes, x: float, y: float, text: str) -> None:
    """The text of a value: beside the axis, above its upper end and below its lower one."""
    shift = 0.045 if y == 1 else -0.045 if y == 0 else 0.0
    side = "center" if shift else "left"
    box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    panel.text(
        x if shift else x + 0.05, y + shift, text, fontsize=8.5, va="center", ha=side, color=INK, zorder=5, bbox=box,
        parse_math=False,
    )  # fmt: skip
