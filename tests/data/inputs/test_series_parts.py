"""A series that is read in parts gives the windows of one that is read at once, and holds a part at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pytest
import torch

from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.formats.csv_chunks import ReadChunks, read_chunks
from ptrun.data.inputs import series_parts
from ptrun.data.inputs.series import RollingWindows, last_window
from ptrun.data.inputs.series_parts import SeriesSettings
from ptrun.errors import DataError

FITTED = {"columns": ["x", "y"], "targets": ["x"], "mean": [10.0, 0.0], "std": [2.0, 1.0]}


def settings(**changes: object) -> SeriesSettings:
    values = {"time_column": "auto", "missing": "forward_fill", "calendar": False, "window": 3, "horizon": 2}
    return SeriesSettings(**{**values, **changes})  # type: ignore[arg-type]


def lines(count: int, form: str = "%Y-%m-%d", step: int = 1) -> list[str]:
    days = [np.datetime64("2024-01-01") + step * i for i in range(count)]
    cells = [
        f"{d.item().strftime(form)},{'' if i % 4 == 3 else i},{'' if i < 6 else i % 5}" for i, d in enumerate(days)
    ]
    return ["day,x,y", *cells]


def reading(texts: Sequence[str]) -> ReadChunks:
    def read(*, chunk_rows: int, start: int) -> Iterator[object]:
        return read_chunks((f"{text}\n" for text in texts), "s.csv", chunk_rows, start=start)

    return read  # type: ignore[return-value]


def rolled(
    texts: Sequence[str], start: int = 0, batch_size: int = 4, **changes: object
) -> list[tuple[str, str, list[list[float]]]]:
    """Name, time and inputs of each window."""
    chunks = list(RollingWindows(reading(texts), FITTED, settings(**changes), batch_size=batch_size).chunks(start))
    assert all(len(chunk.names) == batch_size for chunk in chunks[:-1])
    inputs = torch.cat([chunk.inputs for chunk in chunks]).tolist()
    names = itertools.chain(*(chunk.names for chunk in chunks))
    times = itertools.chain(*(chunk.columns["time"] for chunk in chunks))
    return list(zip(names, times, inputs, strict=True))


@pytest.mark.parametrize(
    ("texts", "changes", "lengths"),
    [
        (lines(40), {}, (13, 7, 2)),
        (lines(40, "%d/%m/%Y"), {}, (13,)),  # the last part, 09/02/2024, alone would not tell day from month
        (lines(40, step=7), {"calendar": True}, (13, 7)),
        ([lines(40)[0], *lines(40)[:0:-1]], {}, (13, 7)),  # the newest row first
    ],
)
def test_parts_of_any_length_give_the_same_windows(
    monkeypatch: pytest.MonkeyPatch, texts: list[str], changes: dict[str, object], lengths: tuple[int, ...]
):
    whole = rolled(texts, **changes)
    end = last_window(reading(texts), FITTED, settings(**changes))
    assert len(whole) >= 30
    for part_rows in lengths:
        monkeypatch.setattr(series_parts, "PART_ROWS", part_rows)
        assert rolled(texts, **changes) == whole
        assert rolled(texts, 8, **changes) == whole[8:]
        assert rolled(texts, batch_size=1, **changes) == whole
        part = last_window(reading(texts), FITTED, settings(**changes))
        assert (part.name, part.times) == (end.name, end.times)
        assert torch.equal(part.inputs, end.inputs)


def test_the_first_windows_come_before_the_last_rows_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(series_parts, "PART_ROWS", 10)
    texts = iter(f"{line}\n" for line in lines(100))
    chunks = RollingWindows(partial(read_chunks, texts, "s.csv"), FITTED, settings(), batch_size=2).chunks(0)
    assert next(chunks).names == ["rows 3 to 4", "rows 4 to 5"]
    assert len(list(texts)) == 51, "a part of ten rows is read after those that show how the file is written"


def test_what_a_later_part_shows_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(series_parts, "PART_ROWS", 10)
    texts = lines(25)
    with pytest.raises(DataError, match=r"row 22, column 'day': the rows from here on are earlier than the row before"):
        rolled([*texts[:21], *texts[1:5]])
    with pytest.raises(DataError, match=r"row 24.*the value is missing"):
        rolled([lines(1)[0], *(t.replace(",,", ",7,") for t in lines(28)[7:]), "2024-01-30,,1"], missing="error")
    with pytest.raises(DataError, match="has 15 rows, but the model looks back on 30"):
        last_window(reading(lines(21)), FITTED, settings(window=30))
    with pytest.raises(DataError, match="no data rows"):
        last_window(reading(["day,x,y"]), FITTED, settings())
    with pytest.raises(DataError, match=r"row 12: it has 1 cells.* Repair or remove the row"):
        rolled([*texts[:11], "1"])


@pytest.mark.parametrize(("form", "step", "num_waves"), [("%Y-%m-%d", 1, 2), ("%Y-%m-%d %H:00", 0, 4)])
def test_the_calendar_of_an_hour_has_waves_of_the_day(form: str, step: int, num_waves: int):
    texts = lines(40, form, step)
    if not step:
        texts[1:] = [f"2024-01-{1 + i // 24:02} {i % 24:02}:00,1,1" for i in range(40)]
    window = last_window(reading(texts), FITTED, settings(calendar=True))
    assert window.inputs.shape == (1, 3, 2 + num_waves)


def test_words_that_stand_for_missing_values_are_filled():
    texts = lines(40)
    texts[-1] = "2024-02-09,7,-1"
    window = last_window(reading(texts), FITTED, settings(columns=ColumnSettings(missing_values=["-1"])))
    assert window.inputs[0, -1, 1] == window.inputs[0, -2, 1]


def test_an_order_of_day_and_month_that_is_said_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(series_parts, "PART_ROWS", 5)
    texts = ["day,x,y", *(f"0{1 + i % 9}/03/2024,1,1" for i in range(9))]
    windows = rolled(texts, columns=ColumnSettings(date_order="dmy"))
    assert windows[-1][1] == "2024-03-10"
