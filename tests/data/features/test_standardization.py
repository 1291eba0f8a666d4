"""The scaling of a data set's features, read from its checkpoint, undoes what the data set did."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.features.columns import ColumnSettings, encode_columns, fit_columns
from ptrun.data.features.standardization import feature_scaling
from ptrun.data.formats.csv_file import CsvFile


def test_features_of_a_table_are_in_the_units_of_its_columns() -> None:
    columns = {"size": ["1", "3", "", "5"], "town": ["Bern", "Chur", "Bern", "?"]}
    file = CsvFile("a.csv", columns, [2, 3, 4, 5])
    encodings, _ = fit_columns(file, ["size", "town"], np.arange(4), ColumnSettings())
    scaling = feature_scaling({"columns": encodings}, 5)
    assert scaling is not None
    raw = encode_columns(file, encodings, "") * np.array(scaling[1]) + np.array(scaling[0])
    assert raw[:, 0].tolist() == pytest.approx([1, 3, 3, 5]), "the missing number is the median"
    assert raw[:, 1:].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]


def test_features_after_the_scaled_ones_are_as_they_were() -> None:
    assert feature_scaling({"mean": [5.0], "std": [2.0]}, 3) == ([5.0, 0.0, 0.0], [2.0, 1.0, 1.0])


def test_data_without_a_scale() -> None:
    assert feature_scaling({"class_names": ["a", "b"]}, 3) is None
