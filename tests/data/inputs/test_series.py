"""The end of a series is one input, every window another; both are standardized by the training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from ptrun.data.formats.csv_chunks import InMemory
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.inputs.series import LastWindow, RollingWindows
from ptrun.data.inputs.series import last_window as last_window_of
from ptrun.data.inputs.series_parts import SeriesSettings
from ptrun.errors import DataError

FITTED = {"columns": ["x"], "targets": ["x"], "mean": [10.0], "std": [2.0]}


def settings(**changes: object) -> SeriesSettings:
    values = {"time_column": "auto", "missing": "error", "calendar": False, "window": 3, "horizon": 2}
    return SeriesSettings(**{**values, **changes})  # type: ignore[arg-type]


def last_window(rows: CsvFile, fitted: Mapping[str, object], settings: SeriesSettings) -> LastWindow:
    return last_window_of(InMemory(rows), fitted, settings)


def file(values: list[float | str], begin: str = "2024-01-30") -> CsvFile:
    days = [str(np.datetime64(begin) + i) for i in range(len(values))]
    return CsvFile("s.csv", {"day": days, "x": list(map(str, values))}, list(range(2, len(values) + 2)))


def test_the_last_window_and_the_times_of_its_forecast():
    source = last_window(file([1, 2, 12, 14, 16]), FITTED, settings())
    (chunk,) = source.chunks(0)
    assert chunk.inputs.tolist() == [[[1.0], [2.0], [3.0]]]
    assert chunk.names == ["after row 6"]
    assert source.times == ["2024-02-04", "2024-02-05"]
    assert list(source.chunks(1)) == []


def test_rolling_windows_have_the_names_of_an_evaluation():
    source = RollingWindows(InMemory(file([10, 12, 14, 16, 18])), FITTED, settings(), batch_size=2)
    chunks = list(source.chunks(0))
    assert [name for chunk in chunks for name in chunk.names] == ["rows 3 to 4", "rows 4 to 5", "rows 5 to 6"]
    assert [time for chunk in chunks for time in chunk.columns["time"]] == ["2024-02-02", "2024-02-03", "2024-02-04"]
    assert chunks[1].inputs.tolist() == [[[2.0], [3.0], [4.0]]]
    (later,) = source.chunks(2)
    assert later.names == chunks[1].names


def test_short_files_absent_columns_and_gaps():
    with pytest.raises(DataError, match="has 2 rows, but the model looks back on 3"):
        last_window(file([1, 2]), FITTED, settings())
    with pytest.raises(DataError, match="has no column 'x'"):
        last_window(CsvFile("s.csv", {"y": ["1", "2", "3"]}, [2, 3, 4]), FITTED, settings())
    with pytest.raises(DataError, match=r"row 4.*the value is missing"):
        last_window(file([1, 2, "", 4]), FITTED, settings())
    filled = last_window(file([1, 2, "", 4]), FITTED, settings(missing="forward_fill"))
    (chunk,) = filled.chunks(0)
    assert chunk.inputs.flatten().tolist() == [-4.0, -4.0, -3.0]


def test_a_series_without_time():
    source = last_window(CsvFile("s.csv", {"x": ["8.0", "10.0", "12.0"]}, [0, 1, 2]), FITTED, settings())
    (chunk,) = source.chunks(0)
    assert chunk.inputs.flatten().tolist() == [-1.0, 0.0, 1.0]
    assert source.times == []


def with_gap(rows_before: int, rows_after: int) -> CsvFile:
    """Rows of consecutive days, with ten days missing after some of them."""
    early = [str(np.datetime64("2024-01-01") + i) for i in range(rows_before)]
    late = [str(np.datetime64(early[-1]) + 11 + i) for i in range(rows_after)]
    count = rows_before + rows_after
    return CsvFile("s.csv", {"day": early + late, "x": [str(i) for i in range(count)]}, list(range(2, count + 2)))


def test_a_gap_in_the_last_rows_is_refused_unless_windows_may_cross_it():
    with pytest.raises(DataError, match=r"last 3 rows.*have a gap after 2024-01-20\..*dataset.gaps=ignore"):
        last_window(with_gap(20, 2), FITTED, settings())
    assert last_window(with_gap(20, 3), FITTED, settings()).times[0] == "2024-02-03"
    assert last_window(with_gap(20, 2), FITTED, settings(gaps="ignore")).count == 1


@pytest.mark.parametrize("part_rows", [7, 20, 21, 1000])
def test_rolling_windows_that_cross_a_gap_have_no_forecast(monkeypatch: pytest.MonkeyPatch, part_rows: int):
    monkeypatch.setattr("ptrun.data.inputs.series_parts.PART_ROWS", part_rows)
    source = RollingWindows(InMemory(with_gap(20, 10)), FITTED, settings(), batch_size=4)
    chunks = list(source.chunks(0))
    names = [name for chunk in chunks for name in chunk.names]
    bad = [chunk.names[i] for chunk in chunks for i in chunk.problems]
    assert len(names) == 28
    assert bad == ["rows 21 to 22", "rows 22 to 23"]  # of rows 18 to 20 and 19 to 21; the gap is before row 20
    assert sum(len(chunk.inputs) for chunk in chunks) == 26
    reason = next(reason for chunk in chunks for reason in chunk.problems.values())
    assert reason == "the 3 rows before it have a gap after 2024-01-20; dataset.gaps=ignore forecasts across gaps"
    across = RollingWindows(InMemory(with_gap(20, 10)), FITTED, settings(gaps="ignore"), batch_size=4)
    assert not any(chunk.problems for chunk in across.chunks(0))


def test_rows_at_another_step_than_in_training_are_reported():
    hourly = {**FITTED, "step": 3600.0}
    text = "steps of 1 day between rows, where training had 1 hour"
    (chunk,) = last_window(file([1, 2, 3, 4]), hourly, settings()).chunks(0)
    assert chunk.unusual == {text: 1}
    (chunk,) = RollingWindows(InMemory(file([1, 2, 3, 4])), hourly, settings(), batch_size=4).chunks(0)
    assert chunk.unusual == {text: 2}
    (chunk,) = last_window(file([1, 2, 3, 4]), {**FITTED, "step": 86400.0}, settings()).chunks(0)
    assert not chunk.unusual
