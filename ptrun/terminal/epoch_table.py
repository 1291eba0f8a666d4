"""The table of epochs that training prints: its columns, and which epochs have a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ptrun.terminal.format import format_learning_rate, format_metric, format_number, format_seconds, pad

_EXPENDABLE = ("data wait", "time", "samples/s", "lr", "ETA")  # columns that a narrow terminal loses, in this order
_MAX_LINES = 100  # epochs with a line each; of more, only some have one
_FIRST_LINES = 3
_MAX_SILENCE_SECONDS = 1.0  # after which the next epoch has a line, too


class EpochTable:
    """The lines of a training's epochs.

    shown_every: of very many short epochs, one in this number has a line.
    """

    def __init__(self, epochs: int, metric_keys: Sequence[str], start_epoch: int = 0, room: int | None = None) -> None:
        """room: cells of the terminal; None for any length."""
        self._epochs, self._epoch, self._done = epochs, start_epoch, 0
        self._seconds = self._shown_at = 0.0
        self.shown_every = 1 if epochs <= _MAX_LINES else _round_up(epochs / (_MAX_LINES / 2))
        self._metric_keys = list(dict.fromkeys(metric_keys))
        titles = [_title(key) for key in self._metric_keys]
        self._widths = {"epoch": max(5, 2 * len(str(epochs)) + 1), **{title: max(10, len(title)) for title in titles}}
        self._widths |= {"lr": 8, "samples/s": 11, "data wait": 9, "time": 7, "ETA": 7}
        self._columns = _fitting(self._widths, room)

    @property
    def title(self) -> str:
        """The names of the columns."""
        return "  " + "  ".join(pad(name, self._widths[name], right=True) for name in self._columns)

    @property
    def next_number(self) -> str:
        """The number of the epoch under way."""
        return pad(f"{self._epoch + 1}/{self._epochs}", self._widths["epoch"], right=True)

    def line(self, record: Mapping[str, Any], *, is_last: bool) -> str | None:
        """The line of an epoch; None when it has none.

        record: one of `metrics.jsonl`, whose `seconds` (with validation) give the remaining time.
        """
        self._epoch, self._done = int(record["epoch"]), self._done + 1
        self._seconds += float(record.get("seconds") or 0.0)
        is_in_turn = self._done <= _FIRST_LINES or self._epoch % self.shown_every == 0 or is_last
        if not is_in_turn and self._seconds - self._shown_at < _MAX_SILENCE_SECONDS:
            return None
        self._shown_at = self._seconds
        remaining = max(0, self._epochs - self._epoch)
        wait = record.get("data_wait_percent")
        cells = {
            "epoch": f"{self._epoch}/{self._epochs}",
            "lr": format_learning_rate(record.get("lr")),
            "samples/s": format_number(_rounded(record.get("samples_per_second"))),
            "data wait": "-" if wait is None else f"{wait:.1f} %",
            "time": format_seconds(record.get("seconds")),
            "ETA": format_seconds(self._seconds / self._done * remaining) if remaining else "",
        }
        cells |= {_title(key): format_metric(key, record.get(key)) for key in self._metric_keys}
        return "  " + "  ".join(pad(cells[name], self._widths[name], right=True) for name in self._columns)


def _title(key: str) -> str:
    return key.replace("/", " ").replace("_", " ")


def _round_up(count: float) -> int:
    """The next 2, 5 or 10, 20, 50 and so on: multiples that the eye follows."""
    size: int = 10 ** math.floor(math.log10(count))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= count)


def _rounded(value: Any) -> Any:
    return round(value) if isinstance(value, float) and math.isfinite(value) and value >= 10 else value


def _fitting(widths: Mapping[str, int], room: int | None) -> list[str]:
    """The columns that fit into `room` terminal cells, with the mark of the best epoch after them."""
    columns = list(widths)
    for name in _EXPENDABLE:
        if room is None or 2 + sum(widths[column] + 2 for column in columns) + 1 <= room:
            break
        columns.remove(name)
    return columns
