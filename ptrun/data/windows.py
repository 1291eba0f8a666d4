"""Divides the rows of a series into train, val and test, and lays windows over them that stay within a stretch.

A stretch is a run of rows at even steps of one series: a window reads no two of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.partition import Indices, Parts
from ptrun.data.split_settings import SplitSettings, check_fractions
from ptrun.data.splits import WindowSplit
from ptrun.errors import ConfigError, DataError

PARTS = ("train", "val", "test")
Stretches = Sequence[tuple[int, int]]  # the first row of each, and the row after its last


@dataclass(frozen=True)
class RowParts:
    """The part of each row: 0, 1, 2 for train, val, test, else -1, [rows].

    bounds: of each part in each series: its first row, and the row after its last. how: they were made, in words.
    """

    of_row: NDArray[np.int8]
    bounds: Mapping[str, Stretches]
    how: str = ""

    @property
    def made(self) -> Parts:
        """How the parts were made, for the record."""
        train, val, test = map(self.rows, PARTS)
        return Parts(train, val, test, method="chronological", how=self.how)

    def rows(self, part: str) -> Indices:
        """The rows of a part."""
        return np.flatnonzero(self.of_row == PARTS.index(part))


def divide(rows_by_part: Mapping[str, Sequence[int] | None], series: Stretches, splitting: SplitSettings) -> RowParts:
    """The rows of each part: those that the user gives, else by the fractions, in the order of time of each series."""
    given = any(rows is not None for rows in rows_by_part.values())
    if given and len(series) > 1:
        raise ConfigError(
            "dataset.train_rows, val_rows and test_rows count the rows of a single series, but the file holds "
            f"{len(series)}. Leave them out, or set dataset.group=null."
        )
    check_fractions(splitting)
    count = series[-1][1]
    pieces = [_given_bounds(count, rows_by_part)] if given else [_by_fractions(*bounds, splitting) for bounds in series]
    of_row = np.full(count, -1, np.int8)
    for piece in pieces:
        for number, part in enumerate(PARTS):
            of_row[slice(*piece[part])] = number
    how = "the rows that dataset.train_rows, val_rows and test_rows name" if given else _how(len(series), splitting)
    return RowParts(of_row, {part: [piece[part] for piece in pieces] for part in PARTS}, how)


def _how(num_series: int, splitting: SplitSettings) -> str:
    each = f", each of the {num_series} series by itself" if num_series > 1 else ""
    val, test = splitting.val_fraction, splitting.test_fraction
    return f"by time{each}: the last {100 * test:.3g} % test, the {100 * val:.3g} % before them val"


def _by_fractions(first: int, end: int, splitting: SplitSettings) -> dict[str, tuple[int, int]]:
    count = end - first
    test = count - round(count * splitting.test_fraction)
    val = max(0, test - round(count * splitting.val_fraction))
    return {"train": (first, first + val), "val": (first + val, first + test), "test": (first + test, end)}


def _given_bounds(count: int, rows_by_part: Mapping[str, Sequence[int] | None]) -> dict[str, tuple[int, int]]:
    """The rows that the user gives. Raises ConfigError unless all are given, in order; DataError beyond the file."""
    bounds: dict[str, tuple[int, int]] = {}
    previous_end = 0
    for part, rows in rows_by_part.items():
        if rows is None or len(rows) != 2 or not previous_end <= rows[0] < rows[1]:
            raise ConfigError(
                f"dataset.{part}_rows is {rows if rows is None else list(rows)}; give all of train_rows, val_rows and "
                "test_rows as [start, end], each starting where the one before it ends or later."
            )
        if rows[1] > count:
            raise DataError(f"dataset.{part}_rows ends at {rows[1]}, but the file has {count} rows.")
        previous_end = rows[1]
        bounds[part] = (rows[0], rows[1])
    return bounds


@dataclass(frozen=True)
class Windows:
    """All windows over the rows of a series.

    inputs: standardized values and calendar features [rows, features].
    measured: whether all targets of a row were in the file, [rows].
    stretch_starts: the first row of the stretch of each row, [rows].
    """

    inputs: Tensor
    measured: Tensor
    stretch_starts: Indices
    target_columns: Sequence[int]
    window: int
    horizon: int

    @property
    def longest_stretch(self) -> int:
        """Rows of the longest stretch."""
        return int(np.bincount(self.stretch_starts).max())

    def in_part(self, part: str, parts: RowParts) -> WindowSplit:
        """Windows within a stretch whose targets lie in a part and were all measured: a filled value is not the truth.

        Windows of later parts may read rows before their part. Training has none before it.
        """
        length = self.window + self.horizon
        starts = np.arange(max(0, len(parts.of_row) - length + 1))
        number = PARTS.index(part)
        first_target, last_target = starts + self.window, starts + length - 1
        fits = self.stretch_starts[starts] == self.stretch_starts[last_target]
        fits &= (parts.of_row[first_target] == number) & (parts.of_row[last_target] == number)
        if part == "train":
            fits &= parts.of_row[starts] == number
        chosen = torch.from_numpy(starts[fits])
        if not self.measured.all():
            measured = self.measured.unfold(0, self.horizon, 1).all(dim=1)
            chosen = chosen[measured[chosen + self.window]]
        return WindowSplit(self.inputs, chosen, self.window, self.horizon, torch.tensor(self.target_columns))


def stretch_starts(count: int, series: Stretches, breaks: Indices) -> Indices:
    """The first row of the stretch of each row, [count]. breaks: rows after which a stretch ends within a series."""
    is_first = np.zeros(count, bool)
    is_first[[first for first, _ in series]] = True
    is_first[breaks + 1] = True
    starts: Indices = np.maximum.accumulate(np.where(is_first, np.arange(count), 0))
    return starts


def check_not_empty(splits: Mapping[str, WindowSplit], parts: RowParts, longest: int, *, evaluating: bool) -> None:
    """Raise DataError for a part without a window; an evaluation needs those of test only.

    longest: rows of the longest stretch without a break.
    """
    for part, split in splits.items():
        if not len(split) and not (evaluating and part != "test"):
            num_rows = sum(end - first for first, end in parts.bounds[part])
            cut = ""
            if longest < len(parts.of_row):
                cut = (
                    f" No stretch of the file has more than {longest} rows without a gap or a change of step; "
                    "dataset.gaps=ignore lets windows cross them."
                )
            raise DataError(
                f"The {part} part has {num_rows} rows, too few for a window of {split.window} rows and a horizon of "
                f"{split.horizon}. Set dataset.window or dataset.horizon lower, or give more rows to {part}.{cut}"
            )
