"""New rows of a series: the window at the end of a file, for a forecast, or every window, to roll over the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ptrun.data.features.timeline import future_times
from ptrun.data.formats.csv_chunks import ReadChunks
from ptrun.data.inputs.series_parts import SeriesSettings, prepared_parts
from ptrun.data.inputs.source import Chunk
from ptrun.errors import DataError

_ACROSS = "dataset.gaps=ignore forecasts across gaps"


@dataclass(frozen=True)
class LastWindow:
    """The source of one input: the last rows of a file, whose forecast begins after its end.

    times: of the steps of the forecast, as texts; empty without dates.
    """

    inputs: Tensor
    name: str
    times: Sequence[str]
    unusual: Mapping[str, int] = field(default_factory=dict)
    identity: str = ""
    notes: tuple[str, ...] = ()
    count: int = 1
    batch_size: int = 1

    def chunks(self, start: int) -> Iterator[Chunk]:
        if start == 0:
            yield Chunk([self.name], self.inputs, unusual=self.unusual)


@dataclass(frozen=True)
class RollingWindows:
    """The source of all windows of a file, also those whose forecast goes beyond its end.

    A window with rows on both sides of a gap has no forecast: its row says why.
    read: reads the file again from its start. fitted: what the data set learned in training.
    Each window is named by the rows of its forecast, and has the time of the first of them.
    """

    read: ReadChunks
    fitted: Mapping[str, Any]
    settings: SeriesSettings
    batch_size: int
    identity: str = ""
    notes: tuple[str, ...] = ()
    count: int | None = None

    def chunks(self, start: int) -> Iterator[Chunk]:
        window, first = self.settings.window, start  # the next window begins at row `first`
        held, cells, begin = torch.empty(0), list[str](), 0  # rows from `begin` on
        gaps: dict[int, str] = {}  # rows before which there is a gap
        for part in prepared_parts(self.read, self.fitted, self.settings):
            gaps |= {begin + len(held) + row: where for row, where in part.gaps.items()}
            held, cells = torch.cat([held, part.inputs]) if len(held) else part.inputs, [*cells, *part.cells]
            followed = max(0, begin + len(held) - window - first)  # windows that a row follows
            count = followed // self.batch_size * self.batch_size
            yield from self._windows(_Rows(held, cells, begin, gaps, part.unusual), range(first, first + count))
            first += count
            done = min(first - begin, len(held))
            held, cells, begin, recent = held[done:], cells[done:], begin + done, part.recent
            gaps = {row: where for row, where in gaps.items() if row > begin}
        cells += future_times(recent, 1)
        last = range(first, begin + len(held) - window + 1)
        yield from self._windows(_Rows(held, cells, begin, gaps, part.unusual), last)

    def _windows(self, rows: _Rows, firsts: range) -> Iterator[Chunk]:
        """The windows that begin at some rows, batch by batch."""
        window = self.settings.window
        for start in firsts[:: self.batch_size]:
            end = min(start + self.batch_size, firsts.stop)
            held = rows.inputs[start - rows.begin : end - rows.begin + window - 1]
            names = [_steps(row, self.settings.horizon) for row in range(start + window, end + window)]
            times = rows.cells[start - rows.begin + window : end - rows.begin + window]
            problems = _crossing(range(start, end), window, rows.gaps)
            windows = held.unfold(0, window, 1).transpose(1, 2)
            if problems:
                windows = windows[[i for i in range(end - start) if i not in problems]]
            unusual = {rows.unusual: end - start} if rows.unusual else {}
            yield Chunk(names, windows.contiguous(), problems, {"time": times} if rows.cells else {}, unusual)


@dataclass(frozen=True)
class _Rows:
    """Prepared rows from row `begin` on, their times, the rows before which there is a gap, and what is unusual."""

    inputs: Tensor
    cells: Sequence[str]
    begin: int
    gaps: Mapping[int, str]
    unusual: str


def _crossing(firsts: range, window: int, gaps: Mapping[int, str]) -> dict[int, str]:
    """Position of a window that begins in `firsts` → why it has no forecast, for those that cross a gap."""
    return {
        first - firsts.start: f"the {window} rows before it have a gap {where}; {_ACROSS}"
        for gap, where in gaps.items()
        for first in range(max(firsts.start, gap - window + 1), min(firsts.stop, gap))
    }


def last_window(read: ReadChunks, fitted: Mapping[str, Any], settings: SeriesSettings) -> LastWindow:
    """The end of a series as one input. Raises DataError when it has fewer rows than a window, or a gap in it."""
    held = torch.empty(0)
    num_rows, gaps = 0, dict[int, str]()  # rows before which there is a gap
    for part in prepared_parts(read, fitted, settings):
        held = (torch.cat([held, part.inputs]) if len(held) else part.inputs)[-settings.window :].clone()
        gaps |= {num_rows + row: where for row, where in part.gaps.items()}
        num_rows += len(part.inputs)
        gaps = {row: where for row, where in gaps.items() if row > num_rows - settings.window}
    if gaps:
        _, where = min(gaps.items())
        raise DataError(
            f"The last {settings.window} rows, from which the model forecasts, have a gap {where}. No window of "
            f"its training crosses one. Give it {settings.window} rows without a gap; {_ACROSS}."
        )
    times = future_times(part.recent, settings.horizon)
    unusual = {part.unusual: 1} if part.unusual else {}
    return LastWindow(held[None], f"after row {part.last_row}", times, unusual)


def _steps(first: int, horizon: int) -> str:
    """The rows of a forecast as an evaluation names them, counted from 0 without the header."""
    return f"row {first}" if horizon == 1 else f"rows {first} to {first + horizon - 1}"
