"""The `series` data set: sliding windows over a CSV file in the order of time, to forecast the rows that follow.

No look-ahead: the targets of a part lie in its own rows, its windows read earlier rows only, and values are
standardized with the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.data.dataset import Data
from ptrun.data.features.labels import fit_scaler
from ptrun.data.features.timeline import calendar_of, find_time_column, has_dates, read_times, season_rows, step_seconds
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.data.formats.number_form import numbers, numbers_or_none
from ptrun.data.formats.paths import existing_file
from ptrun.data.naive_forecasts import naive_forecasts
from ptrun.data.partition import SplitSettings, check_fractions, record
from ptrun.data.splits import WindowSplit
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.rng import Floats
from ptrun.spec import DataSpec, Layout, Task

Bounds = dict[str, tuple[int, int]]  # first row of each part, and the row after its last


@datasets.register
def series(
    *,
    fitted: Mapping[str, Any] | None = None,
    path: str | None = None,
    time_column: str = "auto",
    columns: str | Sequence[str] = "auto",
    targets: str | Sequence[str] = "auto",
    window: int = 30,
    horizon: int = 1,
    missing: str = "error",
    calendar: bool = False,
    season: str | int | None = "auto",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    train_rows: Sequence[int] | None = None,
    val_rows: Sequence[int] | None = None,
    test_rows: Sequence[int] | None = None,
) -> Data:
    """Windows of `window` rows whose targets are the next `horizon` rows; without `path`, Melbourne's temperatures.

    `split_seed` changes nothing, because the parts follow each other in time. Rows are counted from 0 without the
    header in `train_rows`, `val_rows`, `test_rows`: [start, end). Windows of later parts begin `window` rows early.
    Raises DataError naming row and column of a cell that is missing or not a number.
    """
    splitting = SplitSettings(val_fraction, test_fraction, split_seed, evaluating=fitted is not None)
    file = _read(path)
    time = _Time(file, find_time_column(file, time_column))
    names, text_columns = _columns(file, fitted["columns"] if fitted else columns, time.column)
    target_names = _targets(file, fitted["targets"] if fitted else targets, names)
    bounds = _bounds(len(file), {"train": train_rows, "val": val_rows, "test": test_rows}, splitting)
    values, gaps = _filled_values(file, names, missing)
    fitted = dict(fitted) if fitted else _fit_to_training(values, names, target_names, bounds["train"])
    waves, wave_names = calendar_of(file, time.column) if calendar else (values[:, :0], ())
    target_columns = [names.index(name) for name in target_names]
    measured = torch.from_numpy(~gaps[:, target_columns].any(axis=1))
    windows = _Windows(_inputs(values, waves, fitted), measured, target_columns, window, horizon)
    splits = {part: windows.in_rows(rows, is_first=part == "train") for part, rows in bounds.items()}
    _check_not_empty(splits, bounds, evaluating=splitting.evaluating)
    first_rows = [(part, split.starts.numpy() + window, None) for part, split in splits.items()]
    return Data(
        spec=_spec(fitted, windows, wave_names),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=fitted,
        notes=(*time.notes(), *_notes(fitted, text_columns, int(gaps.sum()))),
        record=record("chronological", first_rows) | {"rows": {part: list(rows) for part, rows in bounds.items()}},
        baselines=partial(naive_forecasts, splits["train"], splits["test"], _season(season, time)),
    )


@dataclass(frozen=True)
class _Time:
    """The time column of a file; None when it has none."""

    file: CsvFile
    column: str | None

    @property
    def step_seconds(self) -> float:
        """The usual time between two rows; 0 when the column has no dates."""
        times = read_times(self.file, self.column)
        return step_seconds(times) if times is not None and has_dates(self.file, self.column) else 0.0

    def notes(self) -> list[str]:
        if self.column is None:
            return ["No time column found: the rows are taken to be in the order of time."]
        times = read_times(self.file, self.column)
        if times is None:
            return [f"Time column '{self.column}' is not in ISO form, so the order of the rows is not checked."]
        cells = self.file.columns[self.column]
        irregular = int((np.diff(times) != step_seconds(times)).sum())
        uneven = f" {irregular} steps are longer or shorter than the usual one." if irregular else ""
        return [f"Time column '{self.column}', from {cells[0]} to {cells[-1]}.{uneven}"]


@dataclass(frozen=True)
class _Windows:
    """All windows over the rows of a file.

    inputs: standardized values and calendar features [rows, features].
    measured: whether all targets of a row were in the file, [rows].
    """

    inputs: Tensor
    measured: Tensor
    target_columns: Sequence[int]
    window: int
    horizon: int

    def in_rows(self, rows: tuple[int, int], *, is_first: bool) -> WindowSplit:
        """Windows whose targets lie in `rows` and were all measured: a filled value is not the truth.

        The first part has no rows before it, so its first targets come `window` rows after its beginning.
        """
        begin, end = rows if is_first else (max(0, rows[0] - self.window), rows[1])
        starts = torch.arange(begin, max(begin, end - self.window - self.horizon + 1))
        if not self.measured.all():
            measured = self.measured.unfold(0, self.horizon, 1).all(dim=1)
            starts = starts[measured[starts + self.window]]
        return WindowSplit(self.inputs, starts, self.window, self.horizon, torch.tensor(self.target_columns))


def _read(path: str | None) -> CsvFile:
    if path is not None:
        return read_csv(existing_file(path, "dataset.path"))
    with as_file(files("ptrun.data") / "melbourne_temperatures.csv") as embedded:
        return read_csv(embedded)


def _columns(file: CsvFile, columns: str | Sequence[str], time_column: str | None) -> tuple[list[str], list[str]]:
    """The columns to use, and those that "auto" leaves out because they are text."""
    if columns != "auto":
        names = [columns] if isinstance(columns, str) else list(columns)
        for name in names:
            file.column(name, "dataset.columns")
        return names, []
    others = [name for name in file.columns if name != time_column]
    # A column without a single number is text. One with some is meant as numbers: a bad cell in it is an error.
    text = [name for name in others if not any(numbers_or_none([cell]) is not None for cell in file.columns[name])]
    names = [name for name in others if name not in text]
    if not names:
        raise DataError(f"{file.source} has no column of numbers. It has: {join_words(file.columns)}.")
    return names, text


def _targets(file: CsvFile, targets: str | Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns to forecast, which are some of those that are used."""
    if targets == "auto":
        return list(names)
    target_names = [targets] if isinstance(targets, str) else list(targets)
    for name in target_names:
        file.column(name, "dataset.targets")
        if name not in names:
            raise ConfigError(
                f"dataset.targets: '{name}' is not among dataset.columns ({join_words(names)}). Add it there."
            )
    return target_names


def _bounds(count: int, rows_by_part: Mapping[str, Sequence[int] | None], splitting: SplitSettings) -> Bounds:
    """The rows of each part: those that the user gives, else by the fractions, in the order of time."""
    if any(rows is not None for rows in rows_by_part.values()):
        return _given_bounds(count, rows_by_part)
    check_fractions(splitting)
    test = count - round(count * splitting.test_fraction)
    val = max(0, test - round(count * splitting.val_fraction))
    return {"train": (0, val), "val": (val, test), "test": (test, count)}


def _given_bounds(count: int, rows_by_part: Mapping[str, Sequence[int] | None]) -> Bounds:
    """The rows that the user gives. Raises ConfigError unless all are given, in order; DataError beyond the file."""
    bounds: Bounds = {}
    previous_end = 0
    for part, rows in rows_by_part.items():
        if rows is None or len(rows) != 2 or not previous_end <= rows[0] < rows[1]:
            raise ConfigError(
                f"dataset.{part}_rows is {rows if rows is None else list(rows)}; give all of train_rows, val_rows and "
                "test_rows as [start, end], each starting where the one before it ends or later."
            )
        if rows[1] > count:
            raise DataError(f"dataset.{part}_rows ends at {rows[1]}, but the file has {count} rows.")
        previous_end = rows[1]
        bounds[part] = (rows[0], rows[1])
    return bounds


def _filled_values(file: CsvFile, names: Sequence[str], missing: str) -> tuple[Floats, NDArray[np.bool_]]:
    """Values [rows, columns] without gaps, and where the gaps were. A gap takes the value before it, none later."""
    if missing not in ("error", "forward_fill"):
        raise ConfigError(f"dataset.missing is '{missing}'; it can be error or forward_fill.")
    values = np.column_stack([numbers(file.columns[name], file.rows, file.source, name) for name in names])
    gaps = np.isnan(values)
    if not gaps.any():
        return values, gaps
    if missing == "error":
        row, column = (int(position) for position in np.argwhere(gaps)[0])
        raise DataError(
            f"{file.source}, row {file.rows[row]}, column '{names[column]}': the value is missing. "
            "Set dataset.missing to forward_fill, or fill it."
        )
    for i, name in enumerate(names):
        values[:, i] = _forward_filled(values[:, i])
        if np.isnan(values[:, i]).any():
            row = int(np.flatnonzero(np.isnan(values[:, i]))[0])
            raise DataError(
                f"{file.source}, row {file.rows[row]}, column '{name}': the value is missing and there is none before "
                "it to fill it from."
            )
    return values, gaps


def _forward_filled(values: Floats) -> Floats:
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(last >= 0, values[last], np.nan)


def _fit_to_training(
    values: Floats, names: Sequence[str], target_names: Sequence[str], train: tuple[int, int]
) -> dict[str, Any]:
    if train[0] == train[1]:
        raise DataError(f"The file has {len(values)} rows, which leaves none to train on.")
    mean, std = fit_scaler(values[train[0] : train[1]])
    return {"columns": list(names), "targets": list(target_names), "mean": mean.tolist(), "std": std.tolist()}


def _inputs(values: Floats, waves: Floats, fitted: Mapping[str, Any]) -> Tensor:
    """Standardized values with the calendar features beside them, float32 [rows, features]."""
    standardized = (values - np.array(fitted["mean"])) / np.array(fitted["std"])
    return torch.from_numpy(np.concatenate([standardized, waves], axis=1).astype(np.float32))


def _check_not_empty(splits: Mapping[str, WindowSplit], bounds: Bounds, *, evaluating: bool) -> None:
    """Raise DataError for a part without a window; an evaluation needs those of test only."""
    for part, split in splits.items():
        if not len(split) and not (evaluating and part != "test"):
            num_rows = bounds[part][1] - bounds[part][0]
            raise DataError(
                f"The {part} part has {num_rows} rows, too few for a window of {split.window} rows and a horizon of "
                f"{split.horizon}. Set dataset.window or dataset.horizon lower, or give more rows to {part}."
            )


def _spec(fitted: Mapping[str, Any], windows: _Windows, calendar_names: Sequence[str]) -> DataSpec:
    feature_names = (*fitted["columns"], *calendar_names)
    ahead = range(1, windows.horizon + 1)
    return DataSpec(
        layout=Layout.SEQUENCE,
        task=Task.REGRESSION,
        input_shape=(windows.window, len(feature_names)),
        num_outputs=windows.horizon * len(fitted["targets"]),
        target_names=tuple(
            name if windows.horizon == 1 else f"{name} +{steps}" for steps in ahead for name in fitted["targets"]
        ),
        target_mean=tuple(fitted["mean"][i] for _ in ahead for i in windows.target_columns),
        target_std=tuple(fitted["std"][i] for _ in ahead for i in windows.target_columns),
        feature_names=feature_names,
        horizon=windows.horizon,
    )


def _season(season: str | int | None, time: _Time) -> int | None:
    """Rows in a season, for the naive forecast; None for no season."""
    if season == "auto":
        return season_rows(time.step_seconds)
    if isinstance(season, str) or (season is not None and season < 1):
        raise ConfigError(f"dataset.season is {season}; it can be auto, null, or a number of rows from 1 up.")
    return season


def _notes(fitted: Mapping[str, Any], text_columns: Sequence[str], num_filled: int) -> list[str]:
    notes = [f"Columns: {join_words(fitted['columns'])}. To forecast: {join_words(fitted['targets'])}."]
    if text_columns:
        notes.append(f"Left out, no numbers in it: {join_words(text_columns)}.")
    if num_filled:
        notes.append(
            f"Missing values filled with the value before: {num_filled}. Windows that would forecast one are left out."
        )
    return notes
