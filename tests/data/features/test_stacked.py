"""Series whose time is a number that begins anew in each are told apart; a calendar that begins anew makes none."""

from __future__ import annotations

import pytest

from ptrun.data.features.stacked import find_stacked
from ptrun.data.formats.csv_file import CsvFile


def stacked(columns: dict[str, list[str]], group: tuple[str, ...] = ()) -> tuple[str, str] | None:
    return find_stacked(
        CsvFile(
            "a.csv",
            columns,
            list(range(2, 2 + len(next(iter(columns.values()))))),
        ),
        group,
    )


def values(count: int) -> list[str]:
    return [f"{i * i % 7}.5" for i in range(count)]


@pytest.mark.parametrize("names", [("1", "2"), ("pump", "fan")])
def test_series_below_each_other_and_side_by_side(names: tuple[str, str]) -> None:
    cycles = [str(i) for i in [*range(1, 9), *range(1, 13)]]
    below = {"unit": [names[0]] * 8 + [names[1]] * 12, "cycle": cycles, "y": values(20)}
    assert stacked(below) == ("cycle", "unit")
    assert stacked(below, ("unit",)) == ("cycle", "unit")
    beside = {"year": [str(1990 + i // 2) for i in range(20)], "land": [*names] * 10, "y": values(20)}
    assert stacked(beside) == ("year", "land")


@pytest.mark.parametrize("name", ["dow", "slot"])
def test_a_calendar_that_begins_anew(name: str) -> None:
    week = [str(i // 7 + i // 21) for i in range(28)]
    assert stacked({"week": week, name: [str(i % 7) for i in range(28)], "y": values(28)}) is None


def test_no_series() -> None:
    assert stacked({"x": [str(i * i % 5) for i in range(20)], "kind": ["a", "b"] * 10, "y": values(20)}) is None
    assert stacked({"y": values(20)}) is None
