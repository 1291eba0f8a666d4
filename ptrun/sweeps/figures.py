"""The figures of a sweep: reads what they show from the folders of its jobs, and draws those that make sense for it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.config.sweep import REPEATS
from ptrun.loggers.records import read_records
from ptrun.reports.sweep import by_setting, heat_map, learning_curves, parallel, pareto
from ptrun.reports.sweep import importance as importance_bars
from ptrun.reports.sweep.data import Axis, Curve, Objectives, Point, Setting, SweepData
from ptrun.runs import find
from ptrun.runs.configurations import Configuration, ranked, settings_text, swept_keys, values_by_key
from ptrun.runs.folder import METRICS, PLOTS
from ptrun.runs.objectives import is_higher_better, objective_values, pareto_front
from ptrun.sweeps.importance import importance
from ptrun.sweeps.verdicts import measured

_LOG_RATIO = 100  # of the largest to the smallest value of an axis from which on it is logarithmic
_COMPARED = "compared"  # the metric that is compared (sweep.compare_by) in place of the monitored one
_DRAWN = (
    ("by_setting", by_setting.draw),
    (_COMPARED, by_setting.draw),
    ("heat_map", heat_map.draw),
    ("pareto", pareto.draw),
    ("importance", importance_bars.draw),
    ("parallel", parallel.draw),
    ("learning_curves", learning_curves.draw),
)
_DRAWN_BY_OBJECTIVE = (
    ("by_setting", by_setting.draw),
    ("heat_map", heat_map.draw),
    ("importance", importance_bars.draw),
)

Row = Mapping[str, Any]


def draw(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Draw into `plots` of the sweep, without what an earlier call drew and makes no sense now. Returns the files."""
    plan, data = find.read_plan(folder), read(folder, rows)
    metric = plan.get("compare_by")
    compared = read(folder, measured(folder, rows, metric)) if metric else None
    shown = [(name, draw_one, compared if name == _COMPARED else data) for name, draw_one in _DRAWN]
    objectives = plan.get("objectives", [])
    for position, name in enumerate(objectives):
        if data is not None and name != data.monitor:
            of_objective = read(folder, [_by_objective(folder, row, objectives, position) for row in rows])
            word = name.rpartition("/")[2]
            shown += [(f"{figure}_{word}", draw_one, of_objective) for figure, draw_one in _DRAWN_BY_OBJECTIVE]
    drawn = [draw_one(data, folder / PLOTS / f"{name}.svg") for name, draw_one, data in shown if data is not None]
    written = [path for path in drawn if path is not None]
    for path in (folder / PLOTS).glob("*.svg"):
        if path not in written and path.stem.startswith(tuple(name for name, _ in _DRAWN)):
            path.unlink()
    return written


def _by_objective(folder: Path, row: Row, names: Sequence[str], position: int) -> Row:
    """A row with one of several objectives in the place of the monitored metric."""
    values = objective_values(folder / row["job"], names) if row["state"] == "done" else None
    value = None if values is None else values[position]
    name = names[position]
    return {**row, "monitor": name, "value": value, "higher_is_better": is_higher_better(name)}


def read(folder: Path, rows: Sequence[Row]) -> SweepData | None:
    """What the figures show; None when no job has a result. Jobs with another metric than the best one are left out."""
    plan = find.read_plan(folder)
    ranking = ranked(rows)
    monitor = next((row["monitor"] for row in rows if row["monitor"]), "")
    if not monitor:
        return None
    rows = sorted((row for row in rows if row["monitor"] in ("", monitor)), key=lambda row: _number(row["job"]))
    keys = [key for key in swept_keys(rows) if key not in REPEATS]
    axes = [_axis(key, rows, plan.get("overrides", [])) for key in keys]
    points = [*_finished(ranking, rows, axes, monitor), *_pruned(rows, axes)]
    if not any(not point.is_pruned for point in points):
        return None
    finished = [point for point in points if not point.is_pruned]
    cells = math.prod(len(axis.values) for axis in axes)
    return SweepData(
        monitor,
        next(row["higher_is_better"] for row in rows if row["monitor"]),
        axes,
        points,
        list(_curves(folder, rows, axes, monitor, finished[0].jobs if len(points) > 1 else [])),
        importance(axes, finished, is_search=2 * len(finished) < cells),
        _objectives(folder, rows, plan.get("objectives", [])),
    )


def _number(job: str) -> tuple[int, str]:
    return (int(job), "") if job.isdigit() else (1 << 30, job)


def _axis(key: str, rows: Sequence[Row], overrides: Sequence[str]) -> Axis:
    texts = list(dict.fromkeys(settings[key] for row in rows if key in (settings := values_by_key(row["overrides"]))))
    numbers = [_as_number(text) for text in texts]
    if any(number is None for number in numbers):
        return Axis(key, texts)
    values = sorted({number for number in numbers if number is not None})
    is_declared = any(re.match(rf"{re.escape(key)}=.*\blog\b", text) for text in overrides)
    is_log = values[0] > 0 and (is_declared or values[-1] / values[0] >= _LOG_RATIO)
    return Axis(key, values, is_log)


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _settings(row: Row, axes: Sequence[Axis]) -> dict[str, Setting]:
    texts = values_by_key(row["overrides"])
    return {
        axis.key: float(texts[axis.key]) if axis.is_numeric else texts[axis.key] for axis in axes if axis.key in texts
    }


def _finished(
    ranking: Sequence[Configuration], rows: Sequence[Row], axes: Sequence[Axis], monitor: str
) -> Iterator[Point]:
    """The configurations with a result, best first."""
    by_job = {row["job"]: row for row in rows}
    for configuration in ranking:
        values = [value for value in configuration.values if math.isfinite(value)]
        if values and configuration.monitor == monitor:
            yield Point(_settings(by_job[configuration.jobs[0]], axes), values, configuration.jobs)


def _pruned(rows: Sequence[Row], axes: Sequence[Axis]) -> Iterator[Point]:
    """The configurations of which every run that has a value was pruned."""
    keys = [axis.key for axis in axes]
    done = {settings_text(row["overrides"], keys) for row in rows if row["state"] == "done"}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        text = settings_text(row["overrides"], keys)
        if row["state"] == "pruned" and _is_finite(row["value"]) and text not in done:
            groups.setdefault(text, []).append(row)
    for group in groups.values():
        values, jobs = [row["value"] for row in group], [row["job"] for row in group]
        yield Point(_settings(group[0], axes), values, jobs, is_pruned=True)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _curves(
    folder: Path, rows: Sequence[Row], axes: Sequence[Axis], monitor: str, best: Sequence[str]
) -> Iterator[Curve]:
    for row in rows:
        records = [record for record in read_records(folder / row["job"] / METRICS) if _is_finite(record.get(monitor))]
        epochs = [record["epoch"] for record in records if isinstance(record.get("epoch"), int)]
        if len(epochs) == len(records) and epochs:
            values = [float(record[monitor]) for record in records]
            is_pruned = row["state"] == "pruned"
            yield Curve(row["job"], _settings(row, axes), epochs, values, is_pruned, row["job"] in best)


def _objectives(folder: Path, rows: Sequence[Row], names: Sequence[str]) -> Objectives | None:
    if not names:
        return None
    done = [row["job"] for row in rows if row["state"] == "done"]
    values = {job: found for job in done if (found := objective_values(folder / job, names)) is not None}
    front = [job for job, _ in pareto_front(rows, folder, names)]
    return Objectives(names, [is_higher_better(name) for name in names], values, front)
