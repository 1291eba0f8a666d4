"""What the figures of a sweep show: its axes, its configurations with their results, and the curves of its jobs.

Plain values, which ptrun/sweeps/figures.py reads from the folders of the jobs.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Setting = float | str


@dataclass(frozen=True)
class Axis:
    """A setting that the sweep varies. values: the different ones, numbers in rising order, or words as they came."""

    key: str
    values: Sequence[Setting]
    is_log: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether all its values are numbers."""
        return all(isinstance(value, float) for value in self.values)

    def position(self, value: Setting) -> float:
        """Where a value stands on the axis: a number at itself, a word at its place in the row."""
        return value if isinstance(value, float) else float(self.values.index(value))


@dataclass(frozen=True)
class Point:
    """A configuration. settings: the value of each axis that applies to it. values: of its runs, one or more."""

    settings: Mapping[str, Setting]
    values: Sequence[float]
    jobs: Sequence[str]
    is_pruned: bool = False

    @property
    def mean(self) -> float:
        """Over its runs."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """Of a single run; 0 when there is one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


@dataclass(frozen=True)
class Curve:
    """The monitored metric of one job by epoch. is_best: of the best configuration."""

    job: str
    settings: Mapping[str, Setting]
    epochs: Sequence[int]
    values: Sequence[float]
    is_pruned: bool
    is_best: bool


@dataclass(frozen=True)
class Importance:
    """How much each axis matters, key → share, the largest first; what the shares are; a note on what is left."""

    shares: Mapping[str, float]
    method: str
    note: str = ""


@dataclass(frozen=True)
class Objectives:
    """Several values of each run that is done: names, whether more is better, job → values, and the front."""

    names: Sequence[str]
    higher_is_better: Sequence[bool]
    values: Mapping[str, Sequence[float]]
    front: Sequence[str]


@dataclass(frozen=True)
class SweepData:
    """A sweep as its figures need it. monitor: the metric, as val/accuracy. points: best first, pruned ones last."""

    monitor: str
    higher_is_better: bool
    axes: Sequence[Axis]
    points: Sequence[Point]
    curves: Sequence[Curve] = ()
    importance: Importance | None = None
    objectives: Objectives | None = None

    @property
    def finished(self) -> list[Point]:
        """The configurations whose runs are done."""
        return [point for point in self.points if not point.is_pruned]

    @property
    def axes_by_importance(self) -> list[Axis]:
        """The axes, the most important first."""
        shares = self.importance.shares if self.importance else {}
        return sorted(self.axes, key=lambda axis: -shares.get(axis.key, 0.0))

    @property
    def most_runs(self) -> int:
        """The largest number of runs of a configuration."""
        return max((len(point.values) for point in self.points), default=0)
