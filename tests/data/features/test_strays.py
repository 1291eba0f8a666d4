"""A text among numbers or dates is named, also when it stands in many cells; several of them are categories."""

from __future__ import annotations

import pytest

from ptrun.data.features.strays import refuse_strays
from ptrun.data.formats.column import MISSING
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import DataError

NUMBERS = [f"{i * 0.7:.1f}" for i in range(40)]
DATES = [f"2024-01-{i:02}" for i in range(1, 29)]


def check(cells: list[str], has_missing_values: bool = True) -> None:
    file = CsvFile("a.csv", {"x": cells}, list(range(2, 2 + len(cells))))
    refuse_strays(file, "x", MISSING, "say what x is", has_missing_values)


@pytest.mark.parametrize("word", ["--", "-", ".", "N.A.", "missing", "<5"])
@pytest.mark.parametrize(("cells", "noun"), [(NUMBERS, "number"), (DATES, "date")])
def test_a_word_in_many_cells_is_named_with_the_setting(cells: list[str], noun: str, word: str) -> None:
    count = len(cells)
    message = f"row {count + 2}, column 'x': '{word}' is not a {noun}, but {count} of {count + 20} cells"
    with pytest.raises(DataError) as refused:
        check([*cells, *[word] * 20])
    assert message in str(refused.value)
    assert f"set dataset.missing_values=[{word}] if it stands for a missing value, or say what x is" in str(
        refused.value
    )
    with pytest.raises(DataError) as without:
        check([*cells, *[word] * 20], has_missing_values=False)
    assert "missing_values" not in str(without.value)


def test_dates_of_two_forms_name_one_of_the_fewer() -> None:
    with pytest.raises(
        DataError, match="row 30, column 'x': '31/01/2024' is not a date of the same form as the others"
    ):
        check([*DATES, *["31/01/2024", "30/01/2024"] * 10])


@pytest.mark.parametrize(
    "cells", [["1", "2", "3", "many"] * 10, ["12", "14", "A", "B", "C", "D"] * 9, [*NUMBERS, *"abcdefgh"]]
)
def test_numbers_among_categories_stay(cells: list[str]) -> None:
    check(cells)
