"""New rows of a series: the window at the end of a file, for a forecast, or every window, to roll over the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptrun.data.features.timeline import future_times
from ptrun.data.formats.csv_chunks import ReadChunks
from ptrun.data.inputs.series_parts import SeriesSettings, prepared_parts
from ptrun.data.inputs.source import Chunk


@dataclass(frozen=True)
class LastWindow:
    """The source of one input: the last rows of a file, whose forecast begins after its end.

    times: of the steps of the forecast, as texts; empty without dates.
    """

    inputs: Tensor
    name: str
    times: Sequence[str]
    identity: str = ""
    notes: tuple[str, ...] = ()
    count: int = 1
    batch_size: int = 1

    def chunks(self, start: int) -> Iterator[Chunk]:
        if start == 0:
            yield Chunk([self.name], self.inputs)


@dataclass(frozen=True)
class RollingWindows:
    """The source of all windows of a file, also those whose forecast goes beyond its end.

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
        for part in prepared_parts(self.read, self.fitted, self.settings):
            held, cells = torch.cat([held, part.inputs]) if len(held) else part.inputs, [*cells, *part.cells]
            followed = max(0, begin + len(held) - window - first)  # windows that a row follows
            count = followed // self.batch_size * self.batch_size
            yield from self._windows(held, cells, range(first, first + count), begin)
            first += count
            done = min(first - begin, len(held))
            held, cells, begin, recent = held[done:], cells[done:], begin + done, part.recent
        cells += future_times(recent, 1)
        yield from self._windows(held, cells, range(first, begin + len(held) - window + 1), begin)

    def _windows(self, held: Tensor, cells: Sequence[str], firsts: range, begin: int) -> Iterator[Chunk]:
        """The windows that begin at some rows, batch by batch. held, cells: rows from `begin` on, and their times."""
        window = self.settings.window
        for start in firsts[:: self.batch_size]:
            end = min(start + self.batch_size, firsts.stop)
            windows = held[start - begin : end - begin + window - 1].unfold(0, window, 1).transpose(1, 2)
            names = [_steps(row, self.settings.horizon) for row in range(start + window, end + window)]
            times = cells[start - begin + window : end - begin + window]
            yield Chunk(names, windows.contiguous(), columns={"time": times} if cells else {})


def last_window(read: ReadChunks, fitted: Mapping[str, Any], settings: SeriesSettings) -> LastWindow:
    """The end of a series as one input. Raises DataError when it has fewer rows than a window."""
    held = torch.empty(0)
    for part in prepared_parts(read, fitted, settings):
        held = (torch.cat([held, part.inputs]) if len(held) else part.inputs)[-settings.window :].clone()
    return LastWindow(held[None], f"after row {part.last_row}", future_times(part.recent, settings.horizon))


def _steps(first: int, horizon: int) -> str:
    """The rows of a forecast as an evaluation names them, counted from 0 without the header."""
    return f"row {first}" if horizon == 1 else f"rows {first} to {first + horizon - 1}"
