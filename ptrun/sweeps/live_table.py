"""The table of a sweep while it runs on a terminal: the running jobs, the last ones that ended, and counts of all.

It reads the folders of the jobs, of other processes too, and of these only files that have changed.
"""

from __future__ import annotations

import collections
import datetime
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptrun.loggers.records import last_record
from ptrun.runs import find
from ptrun.runs.folder import METRICS, STATUS, now
from ptrun.sweeps.plan import Job
from ptrun.terminal.console import Console
from ptrun.terminal.format import cell_width, format_metric, format_seconds, pad

_REDRAW_SECONDS = 0.5
_LAST_ENDED = 5
_COLUMNS = ("job", "settings", "state", "epoch", "metric", "time", "ETA")
_STYLES = {"failed": "red", "running": "", "interrupted": "yellow"}
_MIN_SETTINGS = 12  # cells
_MORE_LINES = 6  # of the screen, beside the jobs

Cells = Sequence[str]


@dataclass
class LiveTable:
    """Draws the table of one sweep. jobs: all that are known now. num_jobs: how many there are to be."""

    console: Console
    axes: Sequence[str]
    jobs: Callable[[], Sequence[Job]]
    num_jobs: int
    started: float = field(default_factory=time.monotonic)
    drawn: float = 0.0
    files: dict[Path, tuple[int, Any]] = field(default_factory=dict)  # path → when it was written, and what it says
    begun: dict[str, float] = field(default_factory=dict)  # job → when it was first seen running
    seconds: dict[str, float] = field(default_factory=dict)  # job → how long it ran, of those that ended meanwhile

    def draw(self) -> None:
        """Draw the table, at most twice a second; does nothing where there is no terminal."""
        if not self.console.is_live or time.monotonic() - self.drawn < _REDRAW_SECONDS:
            return
        self.drawn = time.monotonic()
        self.console.live_lines(self.lines(*shutil.get_terminal_size()))

    def lines(self, columns: int, rows: int) -> list[list[tuple[str, str]]]:
        """The lines for a terminal of this size, each in parts with their styles."""
        jobs = [(job, self._read(job.folder / STATUS, _status)) for job in self.jobs()]
        self._time(jobs)
        running = [(job, status) for job, status in jobs if status.get("state") == "running"]
        ended = [(job, status) for job, status in jobs if status.get("state") not in (None, "running")]
        ended = sorted(ended, key=lambda pair: self.files[pair[0].folder / STATUS][0])[-_LAST_ENDED:]
        room = max(1, rows - _MORE_LINES - len(ended))
        shown = [*ended, *running[:room]]
        table = _aligned([_COLUMNS, *(self._cells(job, status) for job, status in shown)], columns)
        styles = ["bold", *(_STYLES.get(str(status["state"]), "dim") for _, status in shown)]
        lines = [[(line, style)] for line, style in zip(table, styles, strict=True)]
        if len(running) > room:
            lines.append([(f"  ... and {len(running) - room} more that run", "dim")])
        return [*lines, [("", "")], [(self._counts([status for _, status in jobs]), "bold")]]

    def _time(self, jobs: Sequence[tuple[Job, Mapping[str, Any]]]) -> None:
        """Note when jobs begin and end, as seen from here."""
        for job, status in jobs:
            if status.get("state") == "running":
                self.begun.setdefault(job.name, time.monotonic())
            elif job.name in self.begun:
                self.seconds[job.name] = time.monotonic() - self.begun.pop(job.name)

    def _cells(self, job: Job, status: Mapping[str, Any]) -> Cells:
        train = job.config.loaded.config.train
        record = self._read(job.folder / METRICS, last_record)
        epoch, state = int(record.get("epoch", 0)), str(status["state"])
        metric = next((name for name in (train.monitor, "val/loss", "train/loss") if name in record), "")
        is_running = state == "running"
        elapsed = _since(status) if is_running else self.seconds.get(job.name)
        left = None
        if is_running and elapsed and epoch and isinstance(train.epochs, int) and epoch < train.epochs:
            left = elapsed / epoch * (train.epochs - epoch)
        return (
            job.name,
            job.settings(self.axes),
            state,
            (f"{epoch}/{train.epochs}" if isinstance(train.epochs, int) else str(epoch)) if epoch else "",
            f"{metric} {format_metric(metric, record[metric])}" if metric else "",
            "" if elapsed is None else format_seconds(elapsed),
            "" if left is None else format_seconds(left),
        )

    def _counts(self, statuses: Sequence[Mapping[str, Any]]) -> str:
        states = collections.Counter(str(status["state"]) for status in statuses if "state" in status)
        done, others = states.pop("done", 0), [f"{number} {state}" for state, number in sorted(states.items())]
        waiting = self.num_jobs - done - sum(states.values())
        parts = [f"{done} of {self.num_jobs} done", *others, *([f"{waiting} to go"] if waiting > 0 else [])]
        parts.append(f"{format_seconds(time.monotonic() - self.started)} so far")
        running = states["running"]
        if self.seconds and running and waiting + running > 0:
            left = statistics.fmean(self.seconds.values()) * (waiting + running / 2) / running
            parts.append(f"about {format_seconds(left)} left")
        return "  " + ", ".join(parts)

    def _read(self, path: Path, read: Callable[[Path], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What a file says; empty when there is none."""
        try:
            written = path.stat().st_mtime_ns
        except OSError:
            return {}
        before = self.files.get(path)
        if before is None or before[0] != written:
            before = self.files[path] = (written, read(path))
        content: Mapping[str, Any] = before[1]
        return content


def _status(path: Path) -> Mapping[str, Any]:
    return find.read_leniently(path.parent, path.name)


def _since(status: Mapping[str, Any]) -> float | None:
    """Seconds since a run has begun."""
    try:
        return max(0.0, (now() - datetime.datetime.fromisoformat(str(status["time"]))).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def _aligned(rows: Sequence[Cells], columns: int) -> list[str]:
    """One line for each row; the settings are cut where the terminal is too narrow."""
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    excess = 2 + sum(widths) + 2 * (len(widths) - 1) - columns
    widths[1] = max(min(_MIN_SETTINGS, widths[1]), widths[1] - max(0, excess))
    return [
        "  " + "  ".join(_cell(text, width, place) for place, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _cell(text: str, width: int, place: int) -> str:
    if cell_width(text) > width:
        text = text[: max(0, width - 1)] + "…"
    return pad(text, width, right=place > 2)
