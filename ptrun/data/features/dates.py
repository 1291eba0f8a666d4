"""Encodes a column of dates: the day as a standard score, and waves of the year, the week and the day.

A wave is a sine and a cosine, so that December is near January. Only what differs among the training rows is a feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.labels import fit_column
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.date_form import DAY_SECONDS, instants
from ptrun.data.partition import Indices

ONE_VALUE = "one value only in the training rows"  # the reason to leave a column out
_PERIODS = {"day of year": 365.25, "day of week": 7.0, "time of day": 1.0}  # in days


def fit(
    file: CsvFile, name: str, order: str, train: Indices, missing_values: Sequence[str] = ()
) -> dict[str, Any] | str:
    """The encoding of a column of dates in this order of day and month, or the reason to leave it out."""
    days = _days(file, name, order, missing_values)[train]
    learned = fit_column(days)
    if learned is None:
        return ONE_VALUE
    waves = [wave for wave in _PERIODS if _differs(days[~np.isnan(days)], wave)]
    return {"name": name, "kind": "date", "order": order, "waves": waves, **learned}


def encode(file: CsvFile, encoding: Mapping[str, Any], features: NDArray[np.float32]) -> None:
    """Write the features [N, F] of a column. Raises DataError naming row and column of a cell that is no such date."""
    days = _days(file, encoding["name"], encoding["order"], encoding.get("missing_values", ()))
    missing = np.isnan(days)
    days = np.where(missing, encoding["median"], days)
    columns = [(days - encoding["mean"]) / encoding["std"]]
    for wave in encoding["waves"]:
        angle = 2 * np.pi * _position(days, wave) / _PERIODS[wave]
        columns += [np.sin(angle), np.cos(angle)]
    features[:] = np.column_stack([*columns, missing] if encoding["missing"] else columns)


def feature_names(encoding: Mapping[str, Any]) -> list[str]:
    """The names of the features that a column becomes."""
    name = encoding["name"]
    waves = [f"{name} {wave} {part}" for wave in encoding["waves"] for part in ("sin", "cos")]
    return [name, *waves, *([f"{name} missing"] if encoding["missing"] else [])]


def _days(file: CsvFile, name: str, order: str, missing_values: Sequence[str]) -> NDArray[np.float64]:
    """Days since 1970 as the clock shows them [N], NaN for missing ones."""
    return instants(file[name].without(missing_values), file.rows, file.source, name, order).clock / DAY_SECONDS


def _position(days: NDArray[np.float64], wave: str) -> NDArray[np.float64]:
    """Days since the beginning of the year, the week or the day."""
    if wave == "day of year":
        dates = np.floor(days).astype("datetime64[D]")
        positions: NDArray[np.float64] = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(float)
        return positions
    start, period = (4.0, 7.0) if wave == "day of week" else (0.0, 1.0)  # 5 January 1970 was a Monday
    position: NDArray[np.float64] = np.mod(np.floor(days) - start if period > 1 else days, period)
    return position


def _differs(days: NDArray[np.float64], wave: str) -> bool:
    """Whether a wave is not the same for all dates. Where all are the first of a month, weekdays mean nothing."""
    if wave == "day of week":
        dates = np.floor(days).astype("datetime64[D]")
        if (dates == dates.astype("datetime64[M]").astype("datetime64[D]")).all():
            return False
    positions = _position(days, wave)
    return bool(positions.min() != positions.max())
