"""Windows lie within a stretch, and their targets within a part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ptrun.data.split_settings import SplitSettings
from ptrun.data.splits import WindowSplit
from ptrun.data.windows import RowParts, Windows, check_not_empty, divide, stretch_starts
from ptrun.errors import ConfigError, DataError

SETTINGS = SplitSettings()
NOT_GIVEN = {"train": None, "val": None, "test": None}


def windows(count: int, starts: np.ndarray, window: int = 3, horizon: int = 2) -> Windows:  # type: ignore[type-arg]
    inputs = torch.arange(count, dtype=torch.float32)[:, None]
    return Windows(inputs, torch.ones(count, dtype=torch.bool), starts, [0], window, horizon)


def splits(parts: RowParts, made: Windows) -> dict[str, WindowSplit]:
    return {part: made.in_part(part, parts) for part in ("train", "val", "test")}


def test_parts_follow_each_other_and_later_windows_begin_before_their_part() -> None:
    parts = divide(NOT_GIVEN, [(0, 40)], SETTINGS)
    assert parts.bounds == {"train": [(0, 28)], "val": [(28, 32)], "test": [(32, 40)]}
    made = splits(parts, windows(40, stretch_starts(40, [(0, 40)], np.zeros(0, np.int64))))
    assert [(int(s.starts[0]), int(s.starts[-1])) for s in made.values()] == [(0, 23), (25, 27), (29, 35)]


def test_no_window_reads_two_series_or_both_sides_of_a_break() -> None:
    series = [(0, 40), (40, 100)]
    starts = stretch_starts(100, series, np.array([9, 69]))
    made = splits(divide(NOT_GIVEN, series, SETTINGS), windows(100, starts))
    for split in made.values():
        for start in split.starts.tolist():
            rows = set(range(start, start + 5))
            assert not any({row, row + 1} <= rows for row in (9, 39, 69))
    assert torch.cat([split.starts for split in made.values()]).unique().numel() > 60


def test_given_rows() -> None:
    parts = divide({"train": [5, 20], "val": [20, 30], "test": [32, 40]}, [(0, 40)], SETTINGS)
    made = splits(parts, windows(40, stretch_starts(40, [(0, 40)], np.zeros(0, np.int64))))
    assert [int(split.starts[0]) for split in made.values()] == [5, 17, 29]
    assert parts.rows("train").tolist() == list(range(5, 20))
    with pytest.raises(ConfigError, match=r"single series, but the file holds 2.*dataset\.group=null"):
        divide({"train": [5, 20], "val": [20, 30], "test": [32, 40]}, [(0, 20), (20, 40)], SETTINGS)


def test_a_part_without_windows_says_what_cut_them() -> None:
    parts = divide(NOT_GIVEN, [(0, 40)], SETTINGS)
    starts = stretch_starts(40, [(0, 40)], np.arange(3, 39, 4))
    with pytest.raises(DataError, match=r"No stretch of the file has more than 4 rows.*dataset\.gaps=ignore"):
        check_not_empty(splits(parts, windows(40, starts)), parts, 4, evaluating=False)
