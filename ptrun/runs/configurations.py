"""The runs of a sweep summed up: those that differ in their seed or fold alone are repetitions of one configuration."""

from __future__ import annotations

import collections
import math
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ptrun.config.sweep import REPEATS

CONFIDENCE = 0.95

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Configuration:
    """The finished jobs that differ in their seeds alone. std: of a single run (n - 1); None for one run.

    settings: the values of the other axes, as typed. planned: how many jobs there are to be. jobs: the finished ones,
    best first. num_pruned: how many were ended early, because others are better. repeats: seed or fold of each value.
    """

    settings: str
    monitor: str
    higher_is_better: bool
    planned: int
    values: Sequence[float]
    tests: Mapping[str, Sequence[float]]
    jobs: Sequence[str] = ()
    num_pruned: int = 0
    repeats: Sequence[str] = ()

    @property
    def by_repeat(self) -> dict[str, float]:
        """Seed or fold, as typed → value of that run."""
        return dict(zip(self.repeats, self.values, strict=True))

    @property
    def mean(self) -> float:
        """Over the finished runs; NaN without any."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def std(self) -> float | None:
        """Of the finished runs."""
        return std(self.values)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean; None for one run."""
        return confidence_interval(self.values)


def confidence_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Where the mean of very many runs lies, in 95 of 100 cases (Student's t). None for fewer than two values."""
    deviation = std(values)
    if deviation is None:
        return None
    half, mean = half_width(deviation / math.sqrt(len(values)), len(values) - 1), statistics.fmean(values)
    return mean - half, mean + half


def half_width(error: float, degrees_of_freedom: float) -> float:
    """Half of the confidence interval of a mean with this standard error (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2)) * error


def std(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def configurations(rows: Sequence[Row]) -> list[Configuration]:
    """The jobs summed up over their repetitions, ranked by the mean; none when nothing is repeated."""
    return ranked(rows) if set(REPEATS) & set(swept_keys(rows)) else []


def ranked(rows: Sequence[Row]) -> list[Configuration]:
    """All configurations, the best by the mean over its runs first."""
    keys = set(swept_keys(rows)) - set(REPEATS)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(settings_text(row["overrides"], keys), []).append(row)
    return sorted((_sum_up(settings, group) for settings, group in groups.items()), key=_rank)


def without_repeats(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides that tell one configuration from the others: without seed and fold."""
    return tuple(text for text in overrides if text.partition("=")[0] not in REPEATS)


def settings_text(overrides: Sequence[str], keys: Collection[str]) -> str:
    """The overrides of these keys, as typed."""
    chosen = " ".join(text for text in overrides if text.partition("=")[0] in keys)
    return chosen or ("(defaults)" if keys else "(as given)")


def shortened(settings: str, keys: Collection[str]) -> str:
    """A `settings_text` with the last word of each key, where no other key has it: lr=0.1 for optimizer.lr=0.1."""
    lasts = collections.Counter(map(_last_word, keys))
    for key in keys:
        if lasts[_last_word(key)] == 1:
            settings = re.sub(rf"(?<!\S){re.escape(key)}=", f"{_last_word(key)}=", settings)
    return settings


def _last_word(key: str) -> str:
    return key.rpartition(".")[2]


def values_by_key(overrides: Sequence[str]) -> dict[str, str]:
    """The overrides as key → value, as typed."""
    return dict(text.split("=", 1) for text in overrides if "=" in text)


def swept_keys(rows: Sequence[Row]) -> list[str]:
    """Keys whose values differ between jobs."""
    values_of: dict[str, set[str]] = {}
    for row in rows:
        for text in row["overrides"]:
            key, _, value = text.partition("=")
            values_of.setdefault(key, set()).add(value)
    return [key for key, values in values_of.items() if len(values) > 1]


def _sum_up(settings: str, rows: Sequence[Row]) -> Configuration:
    finished = [row for row in rows if row["value"] is not None and row["state"] == "done"]
    names = dict.fromkeys(name for row in finished for name in row["test"])
    tests = {name: [row["test"][name] for row in finished if row["test"].get(name) is not None] for name in names}
    sign = -1 if finished and finished[0]["higher_is_better"] else 1
    return Configuration(
        settings,
        finished[0]["monitor"] if finished else "",
        sign == -1,
        len(rows),
        [row["value"] for row in finished],
        tests,
        [row["job"] for row in sorted(finished, key=lambda row: sign * row["value"])],
        sum(row["state"] == "pruned" for row in rows),
        [settings_text(row["overrides"], REPEATS) for row in finished],
    )


def _rank(configuration: Configuration) -> tuple[bool, str, bool, float]:
    """Those without a result last, before them those of which a run was pruned; different metrics are not compared."""
    mean = -configuration.mean if configuration.higher_is_better else configuration.mean
    return not configuration.values, configuration.monitor, configuration.num_pruned > 0, mean
