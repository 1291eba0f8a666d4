"""Dates become a number and waves; only what differs in the training rows is a feature."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.features import dates
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import DataError


def csv(cells: list[str]) -> CsvFile:
    return CsvFile("a.csv", {"d": cells}, list(range(2, 2 + len(cells))))


def encoded(cells: list[str], encoding: dict[str, object]) -> np.ndarray:  # type: ignore[type-arg]
    features = np.zeros((len(cells), len(dates.feature_names(encoding))), np.float32)
    dates.encode(csv(cells), encoding, features)
    return features


def fit(cells: list[str], order: str = "ymd") -> dict[str, object]:
    encoding = dates.fit(csv(cells), "d", order, np.arange(len(cells)))
    assert isinstance(encoding, dict)
    return encoding


def test_days() -> None:
    cells = ["2024-01-01", "2024-01-02", "2024-01-08"]
    encoding = fit(cells)
    assert dates.feature_names(encoding) == [
        "d",
        "d day of year sin",
        "d day of year cos",
        "d day of week sin",
        "d day of week cos",
    ]
    features = encoded(cells, encoding)
    assert features[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert features[:, 0].std() == pytest.approx(1)
    assert features[0, 1:3].tolist() == [0, 1]
    assert features[0, 3:].tolist() == features[2, 3:].tolist() != features[1, 3:].tolist(), "two Mondays"
    assert encoded(["2024-01-15 12:00"], encoding)[0, 3:].tolist() == [0, 1], "a week begins on Monday"


def test_the_time_of_day_is_the_one_that_the_cells_show() -> None:
    cells = ["2024-01-01 00:00+02:00", "2024-01-01 06:00+02:00"]
    assert np.allclose(encoded(cells, fit(cells))[:, 1:], [[0, 1], [1, 0]], atol=1e-6)


def test_first_days_of_months_have_no_weekdays_and_times_have_a_wave() -> None:
    assert fit(["2024-01-01", "2024-02-01"])["waves"] == ["day of year"]
    assert fit(["2024-01-01 00:00", "2024-01-01 06:00"])["waves"] == ["time of day"]
    assert fit(["00:00", "6:00"], "time")["waves"] == ["time of day"]
    times = encoded(["2024-01-01 00:00", "2024-01-01 06:00"], fit(["2024-01-01 00:00", "2024-01-01 06:00"]))
    assert np.allclose(times[:, 1:], [[0, 1], [1, 0]], atol=1e-6)


def test_a_missing_date_is_the_median_and_marked() -> None:
    cells = ["2024-01-01", "", "2024-01-03", "2024-01-05"]
    encoding = fit(cells)
    assert dates.feature_names(encoding)[-1] == "d missing"
    features = encoded(cells, encoding)
    assert features[:, -1].tolist() == [0, 1, 0, 0]
    assert features[1, :-1].tolist() == features[2, :-1].tolist()


def test_a_date_that_stands_for_a_missing_one() -> None:
    cells = ["2024-01-01", "9999-12-31", "2024-01-03"]
    encoding = dates.fit(csv(cells), "d", "ymd", np.arange(3), ["9999-12-31"])
    assert isinstance(encoding, dict)
    encoding["missing_values"] = ["9999-12-31"]
    assert encoding["missing"] == 1
    assert encoded(cells, encoding)[:, -1].tolist() == [0, 1, 0]


def test_one_date_only_is_left_out() -> None:
    assert dates.fit(csv(["2024-01-01"] * 3), "d", "ymd", np.arange(3)) == "one value only in the training rows"


def test_new_rows_are_read_in_the_form_of_training() -> None:
    encoding = fit(["13/1/2024", "2/1/2024"], "dmy")
    assert encoded(["1/2/2024"], encoding)[0, 0] > encoded(["31/1/2024"], encoding)[0, 0]
    assert encoded(["2024-01-31"], encoding).tolist() == encoded(["31/1/2024"], encoding).tolist()
    with pytest.raises(DataError, match="row 3, column 'd': '2024-01-31' is not a date like 31/1/2024"):
        encoded(["1/2/2024", "2024-01-31"], encoding)
