"""The table of a sweep while it runs on a terminal: the running jobs, the last ones that ended, and counts of all.

It reads the folders of the jobs, of other processes too, and of these only files that have changed.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptrun.errors import CheckpointError
from ptrun.loggers.records import last_record
from ptrun.runs import find
from ptrun.runs.configurations import settings_text, shortened
from ptrun.runs.folder import METRICS, RESOLVED, STATUS, SUMMARY, RunDir, now
from ptrun.terminal.console import Console
from ptrun.terminal.format import cell_width, format_metric, format_seconds, pad

_REDRAW_SECONDS = 0.5
_LAST_ENDED = 5
_COLUMNS = ("job", "settings", "state", "epoch", "metric", "time", "ETA")
_STYLES = {"failed": "red", "killed": "red", "running": "", "testing": "", "interrupted": "yellow"}
_AT_WORK = ("running", "testing")
_MIN_SETTINGS = 12  # cells
_MORE_LINES = 6  # of the screen, beside the jobs

Cells = Sequence[str]
Status = Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a job is. metric: the name of the monitored value, or of another one where that is not known."""

    epoch: int = 0
    epochs: int | None = None
    metric: str = ""
    value: float | None = None

    @property
    def epoch_text(self) -> str:
        """`3/20`, or `3` where the end is not known."""
        if not self.epoch:
            return ""
        return f"{self.epoch}/{self.epochs}" if self.epochs else str(self.epoch)

    def seconds_left(self, elapsed: float) -> float | None:
        """How long the other epochs take, when they go on like those until now."""
        if not self.epoch or self.epochs is None or self.epoch >= self.epochs:
            return None
        return elapsed / self.epoch * (self.epochs - self.epoch)


@dataclass
class LiveTable:
    """Draws the table of one sweep.

    jobs: the folders and overrides of all that are known now. num_jobs: how many there are to be.
    """

    console: Console
    axes: Sequence[str]
    jobs: Callable[[], Sequence[tuple[Path, Sequence[str]]]]
    num_jobs: int
    started: float = field(default_factory=time.monotonic)
    drawn: float = 0.0
    files: dict[Path, tuple[int, Any]] = field(default_factory=dict)  # path → when it was written, and what it says
    begun: dict[Path, float] = field(default_factory=dict)  # job → when it was first seen running
    seconds: dict[Path, float] = field(default_factory=dict)  # job → how long it ran, of those that ended meanwhile
    trained: set[Path] = field(default_factory=set)  # jobs that were done, which run once more to be tested

    def __post_init__(self) -> None:
        self.trained |= {folder for folder, _ in self.jobs() if find.is_done(folder)}

    def draw(self) -> None:
        """Draw the table, at most twice a second; does nothing where there is no terminal."""
        if not self.console.is_live or time.monotonic() - self.drawn < _REDRAW_SECONDS:
            return
        self.drawn = time.monotonic()
        self.console.live_lines(self.lines(*shutil.get_terminal_size()))

    def lines(self, columns: int, rows: int) -> list[list[tuple[str, str]]]:
        """The lines for a terminal of this size, each in parts with their styles."""
        jobs = self.jobs()
        statuses = {folder: self._status(folder) for folder, _ in jobs}
        self._time(statuses)
        running = [folder for folder, status in statuses.items() if status.get("state") in _AT_WORK]
        ended = [folder for folder, status in statuses.items() if status.get("state") not in (None, *_AT_WORK)]
        ended = sorted(ended, key=lambda folder: self.files[folder / STATUS][0])[-_LAST_ENDED:]
        room = max(1, rows - _MORE_LINES - len(ended))
        shown = [(folder, statuses[folder]) for folder in (*ended, *running[:room])]
        table = self._table(shown, dict(jobs), columns)
        styles = ["bold", *(_STYLES.get(str(status["state"]), "dim") for _, status in shown)]
        lines = [[(line, style)] for line, style in zip(table, styles, strict=True)]
        if len(running) > room:
            lines.append([(f"  ... and {len(running) - room} more that run", "dim")])
        return [*lines, [("", "")], [(self._counts(list(statuses.values())), "bold")]]

    def _status(self, folder: Path) -> Status:
        """What status.json says; `killed` for a run without its process, `testing` for one that was done before."""
        status: Status = self._read(folder / STATUS, _json)
        if status.get("state") == "done":
            self.trained.add(folder)
        if status.get("state") != "running":
            return status
        if not find.is_at_work(folder):
            return {**status, "state": "killed"}
        return {**status, "state": "testing"} if folder in self.trained else status

    def _time(self, statuses: Mapping[Path, Status]) -> None:
        """Note when jobs begin and end, as seen from here."""
        for folder, status in statuses.items():
            if status.get("state") in _AT_WORK:
                self.begun.setdefault(folder, time.monotonic())
            elif folder in self.begun:
                self.seconds[folder] = time.monotonic() - self.begun.pop(folder)

    def _table(
        self, shown: Sequence[tuple[Path, Status]], overrides: Mapping[Path, Sequence[str]], columns: int
    ) -> list[str]:
        """The header and the rows. Where the terminal is too narrow, the settings are shortened, and then cut."""
        progress = {folder: self._progress(folder) for folder, _ in shown}
        metrics = {each.metric for each in progress.values() if each.metric}
        same = metrics.pop() if len(metrics) == 1 else ""
        header = [same or name if name == "metric" else name for name in _COLUMNS]
        settings = {folder: settings_text(overrides[folder], self.axes) for folder, _ in shown}
        rows: list[Cells] = [header]
        rows += [self._cells(folder, settings[folder], status, progress[folder], same) for folder, status in shown]
        if _width(rows) > columns:
            rows = [header, *((job, shortened(text, self.axes), *others) for job, text, *others in rows[1:])]
        return _aligned(rows, columns)

    def _progress(self, folder: Path) -> Progress:
        train = self._read(folder / RESOLVED, _train)
        record = self._read(folder / METRICS, last_record)
        metric = next((name for name in (str(train.get("monitor")), "val/loss", "train/loss") if name in record), "")
        epochs = train.get("epochs")
        return Progress(
            int(record.get("epoch", 0)), epochs if isinstance(epochs, int) else None, metric, record.get(metric)
        )

    def _cells(self, folder: Path, settings: str, status: Status, progress: Progress, metric: str) -> Cells:
        state = str(status["state"])
        elapsed = _since(status) if state in _AT_WORK else self.seconds.get(folder)
        if elapsed is None:
            elapsed = self._read(folder / SUMMARY, _json).get("training_seconds")
        left = progress.seconds_left(elapsed) if state == "running" and elapsed else None
        value = format_metric(progress.metric, progress.value) if progress.metric else ""
        return (
            folder.name,
            settings,
            state,
            progress.epoch_text,
            value if progress.metric == metric else f"{progress.metric} {value}",
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


def _json(path: Path) -> Mapping[str, Any]:
    return find.read_leniently(path.parent, path.name)


def _train(path: Path) -> Mapping[str, Any]:
    """The settings of the training itself in resolved.yaml."""
    with contextlib.suppress(CheckpointError):
        train: Mapping[str, Any] = RunDir(path.parent).read_config()["train"]
        return train
    return {}


def _since(status: Mapping[str, Any]) -> float | None:
    """Seconds since a run has begun."""
    try:
        return max(0.0, (now() - datetime.datetime.fromisoformat(str(status["time"]))).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def _widths(rows: Sequence[Cells]) -> list[int]:
    return [max(map(cell_width, column)) for column in zip(*rows, strict=True)]


def _width(rows: Sequence[Cells]) -> int:
    """Cells of a line, with two before each column."""
    return sum(2 + width for width in _widths(rows))


def _aligned(rows: Sequence[Cells], columns: int) -> list[str]:
    """One line for each row; the settings are cut where the terminal is too narrow."""
    widths = _widths(rows)
    widths[1] = max(min(_MIN_SETTINGS, widths[1]), widths[1] - max(0, _width(rows) - columns))
    return [
        "  " + "  ".join(_cell(text, width, place) for place, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _cell(text: str, width: int, place: int) -> str:
    if cell_width(text) > width:
        text = text[: max(0, width - 1)] + "…"
    return pad(text, width, right=place > 2)
