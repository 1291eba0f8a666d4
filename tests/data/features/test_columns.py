"""Columns become numbers by what the training rows hold; unknown and missing cells have a fixed meaning."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.features.columns import (
    binary_features,
    encode_columns,
    feature_names,
    fit_columns,
    standardization,
    unknown_categories,
)
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.unusual import unusual_cells
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import DataError

TRAIN = np.arange(4)
FILE = CsvFile(
    "a.csv",
    {
        "size": ["1", "3", "", "5", "100"],
        "town": ["Bern", "Chur", "Bern", "?", "Aarau"],
        "unit": ["m", "m", "m", "m", "km"],
        "id": ["3", "1", "5", "2", "4"],
    },
    [2, 3, 4, 5, 6],
)


def test_encodings_come_from_the_training_rows() -> None:
    encodings, notes = fit_columns(FILE, list(FILE.columns), TRAIN, ColumnSettings())
    size, town = encodings
    assert size == {
        "name": "size",
        "kind": "numeric",
        "mean": 3,
        "std": np.std([1, 3, 5]),
        "median": 3,
        "missing": 1,
        "min": 1,
        "max": 5,
    }
    assert town["categories"] == ["Bern", "Chur"]
    assert town["missing"] == 1
    assert "Left out (one value only in the training rows): unit." in notes
    assert "Left out (they count the rows): id." in notes


def test_features() -> None:
    encodings, _ = fit_columns(FILE, ["size", "town"], TRAIN, ColumnSettings())
    names, groups = feature_names(encodings)
    assert names == ("size", "size missing", "town=Bern", "town=Chur", "town=(missing)")
    assert groups == (2, 3)
    assert binary_features(encodings) == (1, 2, 3, 4)
    features = encode_columns(FILE, encodings, "dataset.path")
    assert features[2].tolist() == [0, 1, 1, 0, 0], "a missing number is the median, and marked"
    assert features[3, 2:].tolist() == [0, 0, 1]
    assert features[4, 2:].tolist() == [0, 0, 0], "a category that training does not hold is all zeros"


def test_rare_and_unknown_categories_share_a_feature() -> None:
    file = CsvFile("a.csv", {"town": ["a", "a", "a", "b", "b", "c", "d"]}, list(range(7)))
    encodings, notes = fit_columns(file, ["town"], np.arange(6), ColumnSettings(max_categories=2))
    assert feature_names(encodings)[0] == ("town=a", "town=b", "town=(other)")
    assert encode_columns(file, encodings, "")[5:].tolist() == [[0, 0, 1], [0, 0, 1]]
    assert notes == ["town: 2 categories (a, b); the rarest (1) share one feature, also with unknown ones."]


def test_missing_cells_have_a_feature_beside_the_one_of_rare_categories() -> None:
    file = CsvFile("a.csv", {"town": ["a", "a", "a", "b", "b", "c", ""]}, list(range(7)))
    encodings, _ = fit_columns(file, ["town"], np.arange(7), ColumnSettings(max_categories=2))
    assert feature_names(encodings)[0] == ("town=a", "town=b", "town=(other)", "town=(missing)")
    assert encode_columns(file, encodings, "")[5:].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]


def test_numbers_of_new_rows_are_read_in_the_form_of_training() -> None:
    columns = {"price": ["1,5", "2,5", "999", "3,5"], "weight": ["1", "999", "3", "5"]}
    file = CsvFile("a.csv", columns, [2, 3, 4, 5], delimiter=";")
    encodings, _ = fit_columns(file, list(columns), TRAIN, ColumnSettings(missing_values=["999"]))
    new = CsvFile("b.csv", {"price": ["3,5", "999"], "weight": ["999", "1"]}, [2, 3])
    features = encode_columns(new, encodings, "dataset.path")
    assert features[:, 0] == pytest.approx([1 / np.std([1.5, 2.5, 3.5]), 0])
    assert features[:, 2] == pytest.approx([0, -2 / np.std([1, 3, 5])])
    assert features[:, [1, 3]].tolist() == [[0, 1], [1, 0]]


def test_categories_that_are_all_known_are_no_note() -> None:
    encodings, _ = fit_columns(FILE, ["town"], TRAIN, ColumnSettings())
    assert unknown_categories(FILE.take(range(4)), encodings) == {}
    assert unknown_categories(FILE, encodings) == {"town": {"Aarau": 1}}


def test_the_scale_of_each_feature() -> None:
    columns = {"day": ["2024-01-01", "2024-01-03", "2024-01-08"], "town": ["a", "b", "a"], "size": ["1", "", "5"]}
    file = CsvFile("a.csv", columns, [2, 3, 4])
    encodings, _ = fit_columns(file, list(columns), np.arange(3), ColumnSettings())
    means, stds = standardization(encodings)
    names = feature_names(encodings)[0]
    scaled = {name: (mean, std) for name, mean, std in zip(names, means, stds, strict=True) if (mean, std) != (0, 1)}
    days = np.array([0, 2, 7])
    assert scaled == {"day": pytest.approx((19723 + days.mean(), days.std())), "size": (3, 2)}


def test_lists_overrule_the_guess() -> None:
    as_numbers, _ = fit_columns(FILE, ["id"], TRAIN, ColumnSettings(numeric=["id"]))
    as_categories, _ = fit_columns(FILE, ["id"], TRAIN, ColumnSettings(categorical=["id"]))
    assert as_numbers[0]["mean"] == 2.75
    assert as_categories[0]["categories"] == ["1", "2", "3", "5"]
    with pytest.raises(DataError, match=r"a\.csv, row 2, column 'town': 'Bern' is not a number"):
        fit_columns(FILE, ["town"], TRAIN, ColumnSettings(numeric=["town"]))


def test_texts_that_all_differ_are_left_out_and_a_stray_text_is_an_error() -> None:
    rows = list(range(2, 32))
    notes = [f"note {row}" for row in rows]
    stray = ["x", *(str(row * row) for row in rows[1:])]
    file = CsvFile("a.csv", {"note": notes, "number": stray}, rows)
    assert fit_columns(file, ["note"], np.arange(30), ColumnSettings()) == (
        [],
        ["Left out (nearly every row has a text of its own): note."],
    )
    (named,), _ = fit_columns(file, ["note"], np.arange(30), ColumnSettings(categorical=["note"]))
    assert len(named["categories"]) == 30
    some = CsvFile("a.csv", {"note": [*notes[:26], *notes[:4]]}, rows)  # 26 of 30 differ
    assert len(fit_columns(some, ["note"], np.arange(30), ColumnSettings())[0]) == 1
    with pytest.raises(DataError, match=r"row 2, column 'number': 'x' is not a number, but 29 of 30 cells"):
        fit_columns(file, ["number"], np.arange(30), ColumnSettings())


def test_without_columns_there_are_no_features() -> None:
    assert encode_columns(FILE, [], "dataset.path").shape == (5, 0)


def test_many_rows_and_columns_have_the_numbers_of_a_formula() -> None:
    values = np.random.default_rng(0).integers(0, 1000, (2500, 20))
    columns = {f"c{i}": [str(value) for value in values[:, i]] for i in range(20)}
    file = CsvFile("a.csv", columns, list(range(2, 2502)))
    encodings, _ = fit_columns(file, list(columns), np.arange(2500), ColumnSettings())
    features = encode_columns(file, encodings, "dataset.path")
    assert np.allclose(features, (values - values.mean(0)) / values.std(0), atol=1e-6)


@pytest.mark.parametrize("row", [0, 63, 64, 199])
def test_a_number_outside_of_those_in_training_is_found_in_any_row_and_column(row: int) -> None:
    columns = {"town": ["Bern", "Chur"] * 100, "size": ["1", "3"] * 100, "age": ["20", "30"] * 100}
    rows = list(range(2, 202))
    encodings, _ = fit_columns(CsvFile("a.csv", columns, rows), list(columns), np.arange(200), ColumnSettings())
    columns["age"][row] = "30.1"
    file = CsvFile("b.csv", columns, rows)
    unusual = unusual_cells(file, encodings, encode_columns(file, encodings, "dataset.path"))
    assert unusual == {"column 'age': a number outside of those in training (20 to 30)": 1}


@pytest.mark.parametrize(
    ("trained", "texts"),
    [
        (["true", "false"], ["True", "False", "TRUE", "true"]),
        (["True", "False"], ["true", "false", "True", "FALSE"]),
        (["1", "-2"], ["1.0", "-2.0", "1", "-2"]),
        (["1.0", "2.0"], ["1", "2", "1.0", "2.0"]),
    ],
)
def test_other_kinds_of_files_write_a_category_in_another_way(trained: list[str], texts: list[str]) -> None:
    rows = range(2, 6)
    (encoding,), _ = fit_columns(
        CsvFile("a.csv", {"x": trained * 2}, list(rows)), ["x"], TRAIN, ColumnSettings(categorical=["x"])
    )
    file = CsvFile("b.csv", {"x": texts}, list(rows))
    features = encode_columns(file, [encoding], "")
    assert (features.sum(1) == 1).all()
    assert not unusual_cells(file, [encoding], features)
    both = {**encoding, "categories": ["1", "1.0"]}  # which the training told apart
    assert encode_columns(CsvFile("c.csv", {"x": ["1.0", "1"]}, [2, 3]), [both], "").tolist() == [[0, 1], [1, 0]]
