"""Labels become class numbers in a stable order; scalers stay finite for constant columns."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ptrun.data.features.labels import (
    class_names,
    class_variants,
    encode,
    fit_column,
    fit_scaler,
    labelled,
    tidy_numbers,
)
from ptrun.errors import DataError


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "-1.5"], ("-1.5", "9", "10")),
        (["10", "9", "a"], ("10", "9", "a")),
        (["1_0", "9"], ("1_0", "9")),
        (["nan", "2"], ("2", "nan")),
    ],
)
def test_names_are_in_the_order_of_numbers_or_of_text(labels: list[str], names: tuple[str, ...]) -> None:
    assert class_names(labels, "a.csv") == names


def test_one_class_is_not_enough() -> None:
    with pytest.raises(DataError, match=r"a\.csv has only the class 'x'"):
        class_names(["x", "x"], "a.csv")
    with pytest.raises(DataError, match="no class"):
        class_names([], "a.csv")


def test_encode_accepts_a_period_at_the_end() -> None:
    codes = encode([">50K.", "<=50K", ">50K"], ("<=50K", ">50K"), "a.csv")
    assert codes.tolist() == [1, 0, 1]
    assert codes.dtype == np.int64


def test_an_unknown_label_is_named_with_its_row_and_the_nearest() -> None:
    with pytest.raises(
        DataError, match=r"'kat' \(2\), first in row 6\. Did you mean 'cat'.*The training data have: cat"
    ):
        encode(["cat", "kat", "kat"], ("cat", "dog"), "a.csv", [5, 6, 7])


def test_tidy_numbers() -> None:
    assert tidy_numbers(["1", "1.0", "01", "2.5"]) == ["1", "1", "1", "2.5"]
    assert tidy_numbers(["1", "a"]) == ["1", "a"]


def test_a_constant_column_has_standard_deviation_1() -> None:
    values = np.column_stack([np.full(7, 0.1), np.full(7, 1e6 / 3), np.arange(7.0)])
    mean, std = fit_scaler(values)
    assert std.tolist() == [1.0, 1.0, 2.0]
    assert mean[2] == 3.0
    rounded = np.full((1000, 1), 1e8 / 3)
    assert rounded.std() > 1e-9, "the rounding error of a large mean"
    assert fit_scaler(rounded)[1].tolist() == [1.0]


@pytest.mark.parametrize(("values", "median"), [([5.0, 1, 3], 3), ([100.0, 1, 5, 3], 4), ([2.0, np.nan, 1], 1.5)])
def test_a_column_of_numbers_is_known_by_its_median(values: list[float], median: float) -> None:
    learned = fit_column(np.array(values))
    assert learned is not None
    assert learned["median"] == median == np.nanmedian(values)


@pytest.mark.parametrize(
    ("labels", "names", "kept", "dropped"),
    [
        (["0", "-100", "1", "-100"], (), [0, 2], 2),
        (["0", "-100.0", "1"], (), [0, 2], 1),
        (["0", "1"], (), [0, 1], 0),
        (["-100", "-50", "0"], (), [0, 1, 2], 0),  # a scale, of which -100 is one value
        (["-100", "cat"], (), [0, 1], 0),
        (["0", "-100"], ("-100", "0"), [0, 1], 0),  # a model that was trained with such a class
    ],
)
def test_minus_100_is_no_label(labels: list[str], names: tuple[str, ...], kept: list[int], dropped: int) -> None:
    positions, notes = labelled(labels, names)
    assert positions == kept
    assert notes == ([f"Samples without a label (-100), left out: {dropped}."] if dropped else [])


def test_classes_that_differ_in_a_period_or_the_code_of_a_letter_are_told() -> None:
    counts = Counter(["<=50K", "<=50K.", "caf\u00e9", "cafe\u0301", ">50K"])
    assert "'<=50K' (1) and '<=50K.' (1), 'caf\u00e9' (1) and 'cafe\u0301' (1)" in class_variants(counts)[0]


def test_codes_with_leading_zeros_stay_as_written() -> None:
    assert tidy_numbers(["01067", "80331"]) == ["01067", "80331"]
    assert tidy_numbers(["80331"], ["01067", "80331"]) == ["80331"]
    assert tidy_numbers(["01067", "1067"]) == ["1067", "1067"]
    assert tidy_numbers(["01067"], ["1067", "80331"]) == ["1067"]  # a model of an earlier version
