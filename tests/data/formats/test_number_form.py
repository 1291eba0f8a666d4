"""Numbers are read in the one form that a whole column follows; a cell in another form is named."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.formats.column import Column
from ptrun.data.formats.number_form import (
    PLAIN,
    NumberForm,
    form_of,
    forms_with_unit,
    is_number_like,
    numbers,
    possible_forms,
)
from ptrun.errors import DataError


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,5", "-0,25", "12"], [1.5, -0.25, 12]),
        (["1.234,50", "999", "12.345.678,9"], [1234.5, 999, 12345678.9]),
        (["1,234.50", "7"], [1234.5, 7]),
        (["12,34,567.8", "1,000"], [1234567.8, 1000]),
        (["1'234.5", "2’000"], [1234.5, 2000]),
        (["1 234,5", "12\u00a0000,0"], [1234.5, 12000]),
        (["$12.30", "-$4", "$ 1,000"], [12.3, -4, 1000]),
        (["3,50 €", "1 €"], [3.5, 1]),
        (["EUR 7", "EUR 8.5"], [7, 8.5]),
        (["45.2 %", "3%"], [45.2, 3]),
        (["(5.5)", "7"], [-5.5, 7]),
        (["−5", "3"], [-5, 3]),
        (["–5", "3"], [-5, 3]),
        (["5.5-", "3", "1,000.0-"], [-5.5, 3, -1000]),
        (["1,5e3", "2,0"], [1500, 2]),
    ],
)
def test_forms_that_a_column_follows(cells: list[str], values: list[float]) -> None:
    form = possible_forms([*cells, "", "NA"])[0]
    assert numbers([*cells, "NA"], range(9), "f", "c", form)[:-1].tolist() == values
    assert form_of({"form": form.to_dict()}) == form


def test_a_single_comma_before_three_digits_can_be_read_in_two_ways() -> None:
    assert {(form.decimal, form.thousands) for form in possible_forms(["1,234", "5,678"])} == {(",", ""), (".", ",")}
    assert {(form.decimal, form.thousands) for form in possible_forms(["1,234", "0,678"])} == {(",", "")}
    assert {(form.decimal, form.thousands) for form in possible_forms(["1,234", "5,678,901"])} == {(".", ",")}


@pytest.mark.parametrize(
    "cells",
    [
        ["1,5", "2.5x"],
        ["1,2,3"],
        ["5 $", "5 €"],
        ["5 %", "6"],
        ["1-2"],
        ["1.2.3"],
        ["12/5"],
        ["(5"],
        ["", "NA"],
        ["-5-"],
    ],
)
def test_what_is_no_number_of_one_form(cells: list[str]) -> None:
    assert possible_forms(cells) == []


def test_a_cell_of_another_form_is_named() -> None:
    form = NumberForm(",", ".")
    with pytest.raises(
        DataError, match=r"f, row 9, column 'c': '1\.5' is not a number with a decimal comma and points"
    ):
        numbers(["1.000,5", "1.5"], [8, 9], "f", "c", form)


def test_missing_and_infinite_numbers_are_nan() -> None:
    values = numbers(["1", "", "NA", "?", "null", "inf", "-2.5e1"], range(7), "f", "c")
    assert np.array_equal(values, [1, np.nan, np.nan, np.nan, np.nan, np.nan, -25], equal_nan=True)


def test_infinite_numbers_are_nan_also_beside_numbers_in_parentheses() -> None:
    values = numbers(["(5.5)", "7", "inf", "1e400", ""], range(5), "f", "c")
    assert np.array_equal(values, [-5.5, 7, np.nan, np.nan, np.nan], equal_nan=True)


def test_points_between_thousands_are_no_decimal_points() -> None:
    assert numbers(["1.234", "56.789"], [2, 3], "f", "c", NumberForm(",", ".")).tolist() == [1234, 56789]


def test_text_among_numbers_is_named() -> None:
    with pytest.raises(DataError, match="f, row 9, column 'c': 'x' is not a number"):
        numbers(["1", "x"], [8, 9], "f", "c")
    with pytest.raises(DataError, match="decimal point"):
        numbers(["1", "1,5"], [2, 3], "f", "c")


def test_names_with_underscores_are_no_numbers() -> None:
    assert Column(["1_2"]).floats is None
    assert not is_number_like("1_2")
    assert is_number_like("1.200,5 kr")


def test_a_checkpoint_without_a_form_holds_plain_numbers() -> None:
    assert form_of({"name": "x", "kind": "numeric"}) == PLAIN


@pytest.mark.parametrize(
    ("cells", "values"),
    [(["7.5 kg", "-8 kg"], [7.5, -8]), (["1.234,5km/h", "7km/h"], [1234.5, 7]), (["21°C", "19.5 °C"], [21, 19.5])],
)
def test_numbers_with_one_unit(cells: list[str], values: list[float]) -> None:
    form = forms_with_unit(cells)[0]
    assert numbers([*cells, "NA"], range(9), "f", "c", form)[:-1].tolist() == values
    assert form_of({"form": form.to_dict()}) == form
    for cell in ("5 lb", "5"):
        with pytest.raises(DataError, match=f"'{cell}' is not a number with the unit"):
            numbers([cell], [2], "f", "c", NumberForm(unit="kg"))


@pytest.mark.parametrize("cells", [["7 kg", "8 lb"], ["1st", "2nd"], ["A1", "A2"], ["7", "8"], ["7 kg", "8"]])
def test_numbers_without_one_unit(cells: list[str]) -> None:
    assert forms_with_unit(cells) == []
