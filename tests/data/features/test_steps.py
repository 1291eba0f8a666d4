"""Gaps, changes of step and repeated times are found; months, holidays and a single missing row are none."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.steps import Steps, find_steps, step_text
from ptrun.data.features.timeline import read_axis
from ptrun.data.formats.csv_file import CsvFile


def steps_of(times: list[str], stretches: list[tuple[int, int]] | None = None) -> Steps:
    axis = read_axis(CsvFile("a.csv", {"time": times}, range(len(times))), "auto", ColumnSettings())
    return find_steps(axis, stretches or [(0, len(times))])


def dates(first: str, numbers: list[int], unit: str = "D") -> list[str]:
    start = np.datetime64(first, unit)
    return [str(start + np.timedelta64(i, unit)).replace("T", " ") for i in numbers]


HOURS = list(range(100))


@pytest.mark.parametrize(
    ("times", "breaks", "skipped"),
    [
        (dates("2024-01-01", HOURS), [], []),
        (dates("2024-01-01", [*range(50), *range(53, 99)]), [49], []),
        (dates("2024-01-01", [*range(50), *range(51, 99)]), [], [49]),
        (dates("2024-01-01", [*range(50), *range(50, 200, 3)]), [50], []),
        (dates("2024-01-01", [0, *range(9, 99)]), [0], []),
        (dates("2024-01-01", [*range(90), 99]), [89], []),
        (dates("2010-01", HOURS, "M"), [], []),
        (dates("2010-01", [*range(50), *range(55, 99)], "M"), [49], []),
        ([str(i) for i in [*range(50), *range(60, 99)]], [49], []),
    ],
)
def test_breaks(times: list[str], breaks: list[int], skipped: list[int]) -> None:
    found = steps_of(times)
    assert found.breaks.tolist() == breaks
    assert found.skipped.tolist() == skipped
    assert not found.is_uneven


def test_steps_that_differ_a_little_are_equal() -> None:
    minutes = [60 * i + i * i % 5 for i in range(100)]
    found = steps_of(dates("2024-01-01", minutes, "m"))
    assert (found.breaks.tolist(), found.is_uneven) == ([], False)


def test_some_gaps_in_a_long_series_leave_its_steps_even() -> None:
    minutes = [60 * (i + 10 * (i // 50)) for i in range(250)]
    found = steps_of(dates("2024-01-01", minutes, "m"))
    assert (found.breaks.tolist(), found.is_uneven) == ([49, 99, 149, 199], False)


def test_weekends_and_holidays_are_no_gaps_of_working_days() -> None:
    days = [i for i in range(200) if i % 7 < 5 and i not in (50, 51)]  # from a Monday on
    assert steps_of(dates("2024-01-01", days)).breaks.tolist() == []
    assert steps_of(dates("2024-01-01", [i for i in days if not 70 <= i < 91])).breaks.tolist() == [47]


def test_a_time_that_stands_twice_is_told_and_not_crossed() -> None:
    found = steps_of(dates("2024-01-01", [*range(50), *range(49, 99)]))
    assert found.repeated.tolist() == [50]
    assert found.breaks.tolist() == [49]


def test_steps_that_are_never_even_have_no_breaks() -> None:
    times = np.cumsum(np.random.default_rng(0).integers(1, 50, 200)).tolist()
    found = steps_of(dates("2024-01-01", times, "m"))
    assert found.is_uneven
    assert found.breaks.tolist() == []


def test_each_series_has_steps_of_its_own() -> None:
    times = dates("2024-01-01", [*range(50), *range(40, 60), *range(70, 100)])
    axis = read_axis(CsvFile("a.csv", {"time": times}, range(100)), "auto", ColumnSettings())
    assert find_steps(axis, [(0, 50), (50, 100)]).breaks.tolist() == [69]


def test_steps_in_words() -> None:
    seconds = [1, 60, 1800, 3600, 86400, 7 * 86400, 31 * 86400, 92 * 86400]
    texts = ["1 s", "1 minute", "30 minutes", "1 hour", "1 day", "7 days", "1 month", "3 months"]
    assert [step_text(value, has_dates=True) for value in seconds] == texts
    assert step_text(2.5, has_dates=False) == "2.5"
