"""Each column is taken for what it is, by all of its cells and those of the others; a mistake in it is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptrun.data.features.kinds import (
    ColumnKind,
    ColumnSettings,
    counts_rows,
    decide_kinds,
    is_id_name,
    one_order,
    read_numbers,
)
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.number_form import PLAIN, NumberForm
from ptrun.errors import ConfigError, DataError


def csv(columns: dict[str, list[str]], **facts: Any) -> CsvFile:
    return CsvFile("a.csv", columns, list(range(2, 2 + len(next(iter(columns.values()))))), **facts)


def kinds(file: CsvFile, **settings: Any) -> dict[str, ColumnKind]:
    return {kind.name: kind for kind in decide_kinds(file, list(file.columns), ColumnSettings(**settings))}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1.5", "", "3", "2"], "number"),
        (["1,5", "2,25", "", "3"], "number"),
        (["$5", "$6.20", "NA", "$7"], "number"),
        (["a", "b", "", "a"], "category"),
        (["2024-01-01", "", "2024-01-03", "2024-05-03"], "date"),
        (["13/1/2024", "2/1/2024", "3/1/2024", "4/1/2024"], "date"),
        (["3", "1", "0", "2"], "index"),
        (["4", "1", "3", "2"], "index"),
        (["2001", "2002", "2003", "2004"], "number"),
        (["123456789012345678", "123456789012345679", "123456789012345678", "7"], "category"),
        (["1e300", "2", "3", "4"], "number"),
    ],
)
def test_kinds(cells: list[str], kind: str) -> None:
    assert kinds(csv({"x": cells}))["x"].kind == kind


def test_columns_without_a_name_are_no_data() -> None:
    file = csv({"column 1": ["5", "7"], "Unnamed: 0": ["1", "9"], "x": ["5", "7"]}, nameless=frozenset({"column 1"}))
    assert [kind.kind for kind in kinds(file).values()] == ["index", "index", "number"]
    assert kinds(file, numeric=["column 1"])["column 1"].kind == "number"


def test_ids_are_no_data() -> None:
    distinct, repeated = [str(7 * i * i) for i in range(30)], [str(7 * (i // 3)) for i in range(30)]
    found = kinds(csv({"order_id": distinct, "userId": repeated, "paid": distinct, "x": repeated}))
    assert [kind.kind for kind in found.values()] == ["index", "number", "number", "number"]
    assert [is_id_name(name) for name in ("ID", "uuid", "customer id", "paid", "grid")] == [True] * 3 + [False] * 2


def test_settings_overrule_what_is_found() -> None:
    file = csv({"x": ["1", "2", "3"], "day": ["20240131", "20240201", "20240202"]})
    assert kinds(file, numeric=["x"])["x"].kind == "number"
    assert kinds(file, categorical=["x"])["x"].kind == "category"
    assert kinds(file, dates=["day"])["day"].order == "ymd"
    assert kinds(file)["day"].kind == "number"
    with pytest.raises(DataError, match="row 2, column 'x': '1' is not a date"):
        kinds(file, dates=["x"])


def test_other_columns_and_the_delimiter_decide_what_a_comma_means() -> None:
    ambiguous = {"x": ["1,234", "5,678"]}
    assert kinds(csv(ambiguous))["x"].form == NumberForm(".", ",")
    assert kinds(csv(ambiguous, delimiter=";"))["x"].form == NumberForm(",")
    for decimal in (",", "comma"):
        assert kinds(csv(ambiguous), decimal=decimal)["x"].form == NumberForm(",")
    with pytest.raises(ConfigError, match=r"dataset\.decimal is 'komma'; it can be auto, point or comma"):
        kinds(csv(ambiguous), decimal="komma")
    beside_commas = kinds(csv(ambiguous | {"y": ["0,5", "1,5"], "z": ["1.000", "20.000"]}))
    assert beside_commas["x"].form == NumberForm(",")
    assert beside_commas["z"].form == NumberForm(",", "."), "a point between thousands, where decimals have commas"
    assert kinds(csv(ambiguous | {"y": ["1,234.5", "7"], "z": ["1.000", "20.000"]}))["z"].form == PLAIN


def test_a_stray_cell_is_named_with_what_to_do() -> None:
    column = [str(i * i) for i in range(30)]
    with pytest.raises(DataError, match=r"row 7, column 'x': 'many' is not a number, but 29 of 30.*categorical=\[x\]"):
        kinds(csv({"x": [*column[:5], "many", *column[6:]]}))
    commas = [f"{i},5" for i in range(30)]
    with pytest.raises(DataError, match=r"row 5, column 'x': '2\.5' is not a number of the same form as the others"):
        kinds(csv({"x": [*commas[:3], "2.5", *commas[4:]]}))
    days = [f"2024-01-{i + 1:02}" for i in range(30)]
    with pytest.raises(DataError, match=r"row 4, column 'x': 'later' is not a date, but 29 of 30 cells"):
        kinds(csv({"x": [*days[:2], "later", *days[3:]]}))
    assert kinds(csv({"x": [*column[:15], *["many"] * 15]}))["x"].kind == "category"


def test_day_and_month_are_asked_for_when_nothing_tells_them_apart() -> None:
    file = csv({"x": ["05/06/2024", "07/02/2024", "01/09/2024"]})
    with pytest.raises(DataError, match=r"column 'x'.*dataset\.date_order=dmy"):
        kinds(file)
    assert kinds(file, date_order="mdy")["x"].order == "mdy"
    in_order = csv({"x": ["10/02/2024", "11/02/2024", "01/03/2024"]})
    assert one_order(in_order, "x", ["dmy", "mdy"]) == "dmy"


def test_a_text_that_stands_for_a_missing_date_is_passed_over() -> None:
    file = csv({"x": ["unknown", "10/02/2024", "11/02/2024", "01/03/2024"]})
    assert kinds(file, missing_values=["unknown"])["x"].order == "dmy", "the order in which the rows ascend"
    assert kinds(file, dates=["x"], missing_values=["unknown"])["x"].order == "dmy"
    one_form = csv({"x": ["unknown", "2024-01-31", "2024-02-01"]})
    assert kinds(one_form, missing_values=["unknown"])["x"].order == "ymd"


@pytest.mark.parametrize(
    ("cells", "misfit"),
    [
        (["2024-01-31", "31/1/2024"], "row 3, column 'x': '31/1/2024'"),
        (["20240131", "2024-02-31"], "row 3, column 'x': '2024-02-31'"),
        (["1/31/2024", "", "1/2/2024", "31/1/2024"], "row 5, column 'x': '31/1/2024'"),
    ],
)
def test_a_date_of_another_form_than_those_before_it_is_named(cells: list[str], misfit: str) -> None:
    with pytest.raises(DataError, match=f"{misfit} is not a date of the same form as the others"):
        kinds(csv({"x": cells}), dates=["x"])


def test_a_column_of_dates_may_be_empty() -> None:
    assert kinds(csv({"x": ["", "NA", "NaT"]}), dates=["x"])["x"].kind == "date"


def test_running_numbers() -> None:
    assert counts_rows(np.array([2.0, 0, 1]))
    assert counts_rows(np.array([2.0, 3, 1]))
    assert not counts_rows(np.array([2.0, 2, 1]))
    assert not counts_rows(np.array([7.0, 8, 9]))
    assert not counts_rows(np.array([1.0, 2, np.nan]))


def test_numbers_with_values_that_stand_for_missing_ones() -> None:
    file = csv({"x": ["1", "-200", "-200.0", "none", ""]})
    values = read_numbers(file, "x", PLAIN, ["-200", "none"])
    assert np.array_equal(values, [1, np.nan, np.nan, np.nan, np.nan], equal_nan=True)
    with pytest.raises(DataError, match="row 5, column 'x': 'none' is not a number"):
        read_numbers(file, "x", PLAIN, ["-200"])
    assert kinds(file, missing_values=["-200", "none"])["x"].kind == "number"


def test_many_numbers_with_a_unit_are_numbers_and_few_are_categories() -> None:
    found = kinds(csv({"weight": [f"{i}.5 kg" for i in range(60)], "doors": ["3 doors", "5 doors"] * 30}))
    assert (found["weight"].kind, found["weight"].form.unit) == ("number", "kg")
    assert found["doors"].kind == "category"


def test_the_index_that_pandas_writes_to_parquet_is_no_data() -> None:
    assert kinds(csv({"__index_level_0__": ["1005", "1001", "1003"]}))["__index_level_0__"].kind == "index"


def test_what_spreadsheets_write_for_missing_cells() -> None:
    assert kinds(csv({"x": ["1.5", "#N/A", "<NA>", "1.#QNAN"]}))["x"].kind == "number"


def test_whole_numbers_that_floats_can_not_hold_are_categories_also_beside_missing_ones() -> None:
    found = kinds(csv({"code": ["12345678901234567890", "", "12345678901234567999"], "y": ["1", "", "5"]}))
    assert {name: kind.kind for name, kind in found.items()} == {"code": "category", "y": "number"}
