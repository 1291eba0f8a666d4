"""Shows how the jobs of a sweep do that workers run elsewhere, as far as their folders tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptrun.runs.configurations import settings_text
from ptrun.sweeps.leaderboard import all_rows, bare_state
from ptrun.sweeps.live_table import LiveTable
from ptrun.sweeps.table import done_text, tested_text
from ptrun.terminal.console import Console


@dataclass
class Watcher:
    """Prints what has become of the jobs since it was made, and on a terminal draws their table.

    num_jobs: how many there are to be. rows: as they were at the last look. done: jobs that were trained to their end,
    which run once more to be tested.
    """

    folder: Path
    console: Console
    axes: Sequence[str]
    num_jobs: int
    rows: Sequence[Mapping[str, Any]] = field(init=False)
    done: set[str] = field(init=False)
    table: LiveTable = field(init=False)

    def __post_init__(self) -> None:
        self.rows = all_rows(self.folder)
        self.done = self._now_done()
        self.table = LiveTable(self.console, self.axes, self._jobs, self.num_jobs)

    def look(self) -> None:
        """Print which jobs have begun or ended since the last look, and draw the table."""
        self.tell()
        self.table.draw()

    def tell(self) -> None:
        """Print which jobs have begun or ended since the last look."""
        before = {row["job"]: (bare_state(row), bool(row["test"])) for row in self.rows}
        self.rows = all_rows(self.folder)
        for row in self.rows:
            state, (old_state, was_tested) = bare_state(row), before.get(row["job"], ("", False))
            # A test may begin and end between two looks, and then only its results show it.
            has_new_test = state == "done" and bool(row["test"]) and not was_tested
            if state != "planned" and (state != old_state or has_new_test):
                self._tell(row, state)
        self.done |= self._now_done()

    def _jobs(self) -> list[tuple[Path, Sequence[str]]]:
        return [(self.folder / row["job"], row["overrides"]) for row in self.rows]

    def _now_done(self) -> set[str]:
        return {row["job"] for row in self.rows if row["state"] == "done"}

    def _tell(self, row: Mapping[str, Any], state: str) -> None:
        name, is_test = row["job"], row["job"] in self.done
        if state == "failed":
            self.console.error(f"job {name} failed: {' '.join(row['reason'].split())}")
        elif state == "done":
            self.console.event(f"  job {name} {tested_text(row) if is_test and row['test'] else done_text(row)}")
        elif state == "running":
            verb = "is tested" if is_test else "started"
            self.console.event(f"  job {name} {verb}: {settings_text(row['overrides'], self.axes)}")
        else:
            self.console.event(f"  job {name} {row['reason'] or state}")
