"""Whether a run of a sweep is to end early, because others were better after as many epochs.

Each run decides for itself, from the metrics in the folders of the others: nobody waits for anybody. A pruned run keeps
its checkpoint, so it can be continued; asha continues one that is among the best after all, when more runs have come.
Of several runs of one configuration, which differ in seed or fold, the first one is compared; the others go with it.

asha: L. Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020.
hyperband: L. Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, 2018.
median: D. Golovin et al., Google Vizier: A Service for Black-Box Optimization, 2017.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptrun.config.sweep import SweepSettings
from ptrun.engine.progress import Standing
from ptrun.loggers.logger import Record
from ptrun.loggers.records import read_records
from ptrun.runs import find
from ptrun.runs.configurations import without_repeats
from ptrun.runs.folder import JOB, METRICS, STATUS, SUMMARY
from ptrun.terminal.format import format_metric

_FEWEST = 5  # other runs that have come as far, before the median of their values decides


@dataclass(frozen=True)
class Pruner:
    """Decides for one job of the sweep in this folder. number: by which hyperband deals the jobs out."""

    settings: SweepSettings
    folder: Path
    job: str
    number: int
    configurations: dict[str, object] = field(default_factory=dict)  # what was read of each job, which never changes

    def why_prune(self, now: Standing) -> str:
        """One sentence on why the run ends here; "" when it goes on."""
        kind = self.settings.pruner
        if kind == "none" or now.best_value is None or now.epoch < self.settings.min_epochs:
            return ""
        first = self._first_runs()[self.job]
        if first != self.job:
            return f"pruned after epoch {now.epoch}, {with_run(first)}" if is_pruned(self.folder / first) else ""
        if kind == "median":
            return self._against_median(now)
        return self._against_best(now) if self._is_rung(now) else ""

    def _first_runs(self) -> dict[str, str]:
        """Each job → the first run of its configuration."""
        return first_runs(_configurations(self.folder, [self.job], self.configurations))

    def _against_median(self, now: Standing) -> str:
        others = self._others(now, self.folder.glob(f"*/{METRICS}"))
        if len(others) < _FEWEST:
            return ""
        median = statistics.median(others)
        if not _is_better(median, now.best_value, now):
            return ""
        return f"pruned after epoch {now.epoch}: {_value(now)}, the median of {len(others)} others {_text(median, now)}"

    def _against_best(self, now: Standing) -> str:
        brackets = self._brackets(now.epochs)
        same = [
            path
            for path in self.folder.glob(f"*/{METRICS}")
            if not path.parent.name.isdigit() or int(path.parent.name) % brackets == self.number % brackets
        ]
        others = self._others(now, same)
        better = sum(_is_better(value, now.best_value, now) for value in others)
        places = max(1, (len(others) + 1) // self.settings.reduction_factor)
        if better < places:
            return ""
        return (
            f"pruned after epoch {now.epoch}: {_value(now)}, which is place {better + 1} of {len(others) + 1}; "
            f"{places} {'goes' if places == 1 else 'go'} on"
        )

    def _is_rung(self, now: Standing) -> bool:
        """Whether runs are compared after this epoch, or would have been since the validation before it."""
        factor = self.settings.reduction_factor
        own = [record["epoch"] for record in read_records(self.folder / self.job / METRICS) if now.monitor in record]
        before = max((epoch for epoch in own if epoch < now.epoch), default=0)
        rung = self.settings.min_epochs * factor ** (self.number % self._brackets(now.epochs))
        while rung <= before:
            rung *= factor
        return bool(rung <= now.epoch)

    def _brackets(self, epochs: int) -> int:
        """The number of groups of jobs, of which each has its first comparison later than the one before."""
        if self.settings.pruner != "hyperband":
            return 1
        return max(1, math.floor(math.log(epochs / self.settings.min_epochs, self.settings.reduction_factor)) + 1)

    def _others(self, now: Standing, paths: Iterable[Path]) -> list[float]:
        """The best values that the other runs had after as many epochs, of those that have come as far."""
        first = self._first_runs()
        curves = (read_records(path) for path in paths if self.job != path.parent.name == first[path.parent.name])
        return [value for curve in curves if (value := _best_until(curve, now)) is not None]


def is_pruned(folder: Path) -> bool:
    """Whether a run was ended early."""
    return bool(find.read_leniently(folder, STATUS).get("state") == "pruned")


def with_run(first: str) -> str:
    """Why a run is pruned that is not compared itself."""
    return f"as run {first} of the same configuration was"


def first_runs(configurations: Mapping[str, object]) -> dict[str, str]:
    """Each of these jobs → the first of those with an equal configuration."""
    first: dict[object, str] = {}
    for name in sorted(configurations, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name)):
        first.setdefault(configurations[name], name)
    return {name: first[configuration] for name, configuration in configurations.items()}


def _configurations(folder: Path, jobs: Iterable[str], known: dict[str, object] | None = None) -> Mapping[str, object]:
    """What tells the configuration of each job, of these and of those that have begun, from the others."""
    known = {} if known is None else known
    begun = {path.parent.name for pattern in (JOB, METRICS) for path in folder.glob(f"*/{pattern}")}
    for name in {*jobs, *begun} - set(known):
        overrides = find.read_leniently(folder / name, JOB).get("overrides")
        known[name] = name if overrides is None else without_repeats(overrides)
    return known


def promoted(settings: SweepSettings, folder: Path, jobs: Iterable[str]) -> list[str]:
    """Those of these jobs that asha has ended early, and that are among the best by now."""
    if settings.pruner != "asha":
        return []
    jobs = list(jobs)
    first = first_runs(_configurations(folder, jobs))
    paths = {name: folder / name / METRICS for name in first if name == first[name]}
    curves = {name: read_records(path) for name, path in paths.items() if path.is_file()}
    return [job for job in jobs if job == first[job] and _is_promoted(settings, folder / job, curves)]


def _is_promoted(settings: SweepSettings, folder: Path, curves: Mapping[str, Sequence[Record]]) -> bool:
    summary = find.read_leniently(folder, SUMMARY)
    if not is_pruned(folder) or "epochs" not in summary:
        return False
    epoch = summary["epochs"]
    now = Standing(summary["monitor"], summary["best_value"], summary["higher_is_better"], epoch, epoch)
    others = [_best_until(curve, now) for name, curve in curves.items() if name != folder.name]
    values = [value for value in others if value is not None]
    better = sum(_is_better(value, now.best_value, now) for value in values)
    return better < (len(values) + 1) // settings.reduction_factor


def _best_until(records: Sequence[Record], now: Standing) -> float | None:
    """The best value that another run had after as many epochs; None when it has not come as far."""
    validated = [record for record in records if record.get(now.monitor) is not None]
    values: list[float] = [record[now.monitor] for record in validated if record["epoch"] <= now.epoch]
    if not values or validated[-1]["epoch"] < now.epoch:
        return None
    return max(values) if now.higher_is_better else min(values)


def _is_better(value: float, other: float | None, now: Standing) -> bool:
    assert other is not None
    return value > other if now.higher_is_better else value < other


def _text(value: float | None, now: Standing) -> str:
    return format_metric(now.monitor, value)


def _value(now: Standing) -> str:
    return f"{now.monitor} {_text(now.best_value, now)}"
