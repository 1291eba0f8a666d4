"""The learning curves of all jobs of a sweep in one panel, colored by the most important axis."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.reports.figure import GREEN, INK, SOFT, add_caption, new_figure, save, tidy
from ptrun.reports.sweep.data import Axis, Curve, SweepData
from ptrun.reports.sweep.look import (
    WORDS,
    color_of,
    label_lines,
    metric_axis,
    metric_name,
    setting_text,
    shade,
    title_of,
    unit_position,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS = 60  # of a curve
_MOST_POINTS_IN_ALL = 9000
_MOST_NAMES = 6


def draw(data: SweepData, path: Path) -> Path | None:
    """Draw the curves; none when no job has two epochs."""
    curves = data.curves
    if all(len(curve.epochs) < 2 for curve in curves):
        return None
    colored = [axis for axis in data.axes_by_importance if axis.is_numeric or len(axis.values) <= _MOST_NAMES]
    axis = colored[0] if colored else None
    figure = new_figure(8.8, 5.0, f"{title_of(data.monitor)} of {_count(len(curves), 'run')} by epoch")
    panel = figure.add_subplot()
    metric_axis(panel, data.monitor, _shown(curves, data))
    last = max(curve.epochs[-1] for curve in curves)
    panel.set_xlim(min(curve.epochs[0] for curve in curves) - 0.015 * last, last * 1.01)
    for curve in sorted(curves, key=lambda curve: curve.is_best):
        _draw_curve(panel, curve, axis, len(curves))
    _label(panel, data, curves, axis)
    _epochs(panel)
    panel.set_ylabel(metric_name(data.monitor))
    tidy(panel)
    add_caption(figure, _caption(curves, axis))
    return save(figure, path)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"


def _shown(curves: Sequence[Curve], data: SweepData) -> list[float]:
    """The values that fit: of a loss, not those of diverged runs, which would make all others a flat line."""
    values = [value for curve in curves for value in curve.values]
    middle = statistics.median(values)
    if data.higher_is_better or middle <= 0:
        return values
    return [value for value in values if value < 100 * middle]


def _color(curve: Curve, axis: Axis | None) -> str:
    if axis is None or axis.key not in curve.settings:
        return WORDS[0] if axis is None else WORDS[4]
    value = curve.settings[axis.key]
    if len(axis.values) <= _MOST_NAMES:
        return color_of(axis, value)
    return shade(0.2 + 0.8 * unit_position(axis, value))


def _draw_curve(panel: Axes, curve: Curve, axis: Axis | None, number: int) -> None:
    step = -(-len(curve.epochs) // max(min(_MOST_POINTS, _MOST_POINTS_IN_ALL // number), 2))
    last = len(curve.epochs) - 1
    kept = [*range(0, last, step), last]
    x, y = [curve.epochs[i] for i in kept], [curve.values[i] for i in kept]
    color = _color(curve, axis)
    is_faint = curve.is_pruned or number > 40
    width = 2.6 if curve.is_best else 0.9 if is_faint else 1.4
    panel.plot(x, y, color=color, linewidth=width, alpha=1.0 if curve.is_best else 0.75)
    if curve.is_pruned:
        panel.plot(x[-1:], y[-1:], "x", color=color, markersize=6, markeredgewidth=1.5)
    if curve.is_best:
        panel.plot(x[-1:], y[-1:], "o", color=GREEN, markersize=6, zorder=5)


def _label(panel: Axes, data: SweepData, curves: Sequence[Curve], axis: Axis | None) -> None:
    """The values of the axis beside the ends of their curves, at the mean height of these."""
    if axis is None:
        return
    full = [curve for curve in curves if not curve.is_pruned]
    if len(axis.values) > _MOST_NAMES:
        _scale_of_colors(panel, axis)
        return
    ends = []
    for value in axis.values:
        last = [curve.values[-1] for curve in full if curve.settings.get(axis.key) == value]
        if last:
            ends.append((statistics.median(last), setting_text(value), color_of(axis, value)))
    label_lines(panel, ends, panel.get_xlim()[1])
    panel.set_title(axis.key, loc="right", fontsize=9, color=SOFT, parse_math=False)


def _scale_of_colors(panel: Axes, axis: Axis) -> None:
    """What the colors of an axis with many numbers mean, as a row of squares above the panel."""
    shares = [0.2, 0.4, 0.6, 0.8, 1.0]
    panel.text(0.62, 1.035, setting_text(axis.values[0]), transform=panel.transAxes, ha="right", fontsize=9, color=INK)
    for place, share in enumerate(shares):
        panel.plot(
            [0.645 + 0.03 * place], [1.045], "s", markersize=9, color=shade(share), transform=panel.transAxes,
            clip_on=False, markeredgewidth=0,
        )  # fmt: skip
    text = f"{setting_text(axis.values[-1])}   {axis.key}"
    panel.text(0.79, 1.035, text, transform=panel.transAxes, fontsize=9, color=INK, parse_math=False)


def _epochs(panel: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    panel.set_xlabel("epoch")


def _caption(curves: Sequence[Curve], axis: Axis | None) -> str:
    parts = [f"Colors: {axis.key}"] if axis else []
    if any(curve.is_best for curve in curves):
        parts.append("thick lines are the best configuration")
    if any(curve.is_pruned for curve in curves):
        parts.append("a cross ends a run that was pruned")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
