"""What `ptrun.sweep` returns: the table of a sweep as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.config.overrides import parse_values
from ptrun.reports.html_table import html_table
from ptrun.runs.configurations import ranked, swept_keys
from ptrun.sweeps.leaderboard import all_rows
from ptrun.sweeps.verdicts import verdicts


@dataclass(frozen=True)
class SweepResult:
    """A sweep that has come to its end.

    records: one for each job, best first: its settings, state, monitored value, test metrics, seconds and folder.
    configurations: one for each configuration, best first, with mean, standard deviation and 95 % confidence interval
        over its seeds.
    best: the folder of the best run of the best configuration; None when no run is done.
    verdicts: a sentence for each comparison of sweep.compare.
    """

    folder: Path
    records: Sequence[Mapping[str, Any]]
    configurations: Sequence[Mapping[str, Any]]
    best: Path | None
    verdicts: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"SweepResult({len(self.records)} jobs, best {self.best}; folder {self.folder})"

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return html_table(list(self.records))


def sweep_result(folder: Path) -> SweepResult:
    """Read the result of a sweep from its folder."""
    rows = all_rows(folder)
    keys = swept_keys(rows)
    ranking = ranked(rows)
    best = folder / ranking[0].jobs[0] if ranking and ranking[0].jobs else None
    summed = [
        {
            "settings": configuration.settings,
            "runs": len(configuration.values),
            "monitor": configuration.monitor,
            "mean": configuration.mean if configuration.values else None,
            "std": configuration.std,
            "confidence_interval_95": configuration.interval,
        }
        for configuration in ranking
    ]
    return SweepResult(folder, [_record(row, keys, folder) for row in rows], summed, best, verdicts(folder, rows))


def _record(row: Mapping[str, Any], keys: Sequence[str], folder: Path) -> dict[str, Any]:
    values = parse_values([text for text in row["overrides"] if text.partition("=")[0] in keys])
    monitored = {row["monitor"]: row["value"]} if row["monitor"] else {}
    tests = {f"test/{name}": value for name, value in row["test"].items()}
    path = str(folder / row["job"])
    return {
        "job": row["job"],
        **values,
        **monitored,
        **tests,
        "state": row["state"],
        "seconds": row["seconds"],
        "folder": path,
    }
