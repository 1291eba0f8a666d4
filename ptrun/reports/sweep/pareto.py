"""Several objectives of a sweep against the first one, with the runs that no other run beats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.reports.figure import GREEN, INK, SOFT, add_caption, new_figure, save, tidy
from ptrun.reports.sweep.data import Objectives, SweepData
from ptrun.reports.sweep.look import metric_axis, metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LABELS = 12


def draw(data: SweepData, path: Path) -> Path | None:
    """Draw a panel for each objective but the first; none for a sweep with one."""
    objectives = data.objectives
    if objectives is None or not objectives.front:
        return None
    others = range(1, len(objectives.names))
    are = "is" if len(objectives.front) == 1 else "are"
    title = f"{len(objectives.front)} of {len(objectives.values)} runs {are} beaten by no other (the Pareto front)"
    figure = new_figure(7.8 if len(others) == 1 else 5.4 * len(others), 5.0, title)
    for place, other in enumerate(others, start=1):
        panel = figure.add_subplot(1, len(others), place)
        _draw_panel(panel, objectives, other, is_line=len(others) == 1)
    text = (
        "Green: the front, with the names of its jobs" if len(objectives.front) <= _MOST_LABELS else "Green: the front"
    )
    add_caption(figure, f"{text}. {_better(objectives)}")
    return save(figure, path)


def _better(objectives: Objectives) -> str:
    """In which direction the better runs are."""
    up = "up" if objectives.higher_is_better[0] else "down"
    sides = {"right" if higher else "left" for higher in objectives.higher_is_better[1:]}
    return f"Better is {up} and to the {sides.pop()}." if len(sides) == 1 else f"Better is {up}."


def _draw_panel(panel: Axes, objectives: Objectives, other: int, *, is_line: bool) -> None:
    on_front = set(objectives.front)
    for job, values in objectives.values.items():
        if job not in on_front:
            panel.plot([values[other]], [values[0]], "o", markersize=5, color=SOFT, alpha=0.6, markeredgewidth=0)
    front = sorted((objectives.values[job][other], objectives.values[job][0], job) for job in objectives.front)
    x, y = [point[0] for point in front], [point[1] for point in front]
    if is_line:
        panel.step(x, y, where="post" if not objectives.higher_is_better[other] else "pre", color=GREEN, linewidth=1.4)
    panel.plot(x, y, "o", markersize=8, color=GREEN, zorder=4)
    if len(front) <= _MOST_LABELS:
        for at, height, job in front:
            panel.annotate(
                job, (at, height), xytext=(7, -11), textcoords="offset points", fontsize=9, color=INK, parse_math=False
            )
    metric_axis(panel, objectives.names[0], [values[0] for values in objectives.values.values()])
    metric_axis(panel, objectives.names[other], [values[other] for values in objectives.values.values()], "x")
    panel.set_ylabel(metric_name(objectives.names[0]))
    panel.set_xlabel(metric_name(objectives.names[other]))
    tidy(panel)
