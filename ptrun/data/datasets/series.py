"""The `series` data set: sliding windows over a CSV file in the order of time, to forecast the rows that follow.

Invariant: no look-ahead. The targets of a part lie in its own rows, its windows read earlier rows only, and the
scaler is that of the training rows.
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

from ptrun.data.dataset import Data
from ptrun.data.features.labels import Floats, fit_scaler
from ptrun.data.features.timeline import calendar_of, find_time_column, has_dates, read_times, season_rows, step_seconds
from ptrun.data.formats.csv_file import CsvFile, numbers, numbers_or_none, read_csv
from ptrun.data.formats.paths import existing_file
from ptrun.data.naive_forecasts import naive_forecasts
from ptrun.data.partition import check_fractions, record
from ptrun.data.splits import WindowSplit
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

Bounds = dict[str, tuple[int, int]]


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

    `split_seed` changes nothing, since the cut is that of time. Rows are counted from 0 without the header in
    `train_rows`, `val_rows`, `test_rows`: [start, end), windows of later parts beginning `window` rows early.
    Raises DataError naming row and column of a cell that is missing or no number.
    """
    file = _read(path)
    time_name = find_time_column(file, time_column)
    names, left_out = _columns(file, fitted["columns"] if fitted else columns, time_name)
    goals = _targets(file, fitted["targets"] if fitted else targets, names)
    bounds = _bounds(len(file), (train_rows, val_rows, test_rows), val_fraction, test_fraction, fitted is not None)
    values, gaps = _values(file, names, missing)
    known = dict(fitted) if fitted else _fit(values, names, goals, bounds["train"])
    scaled = (values - np.array(known["mean"])) / np.array(known["std"])
    waves, wave_names = calendar_of(file, time_name) if calendar else (scaled[:, :0], ())
    shared = torch.from_numpy(np.concatenate([scaled, waves], axis=1).astype(np.float32))
    target_columns = [names.index(name) for name in goals]
    known_rows = torch.from_numpy(~gaps[:, target_columns].any(axis=1))
    splits = {
        part: _windows(shared, known_rows, bounds[part], window, horizon, target_columns, part == "train")
        for part in bounds
    }
    _check_windows(splits, bounds, window, horizon, evaluating=fitted is not None)
    time = _Time(file, time_name)
    rows = [(part, split.starts.numpy() + window, None) for part, split in splits.items()]
    return Data(
        spec=_spec(known, (*names, *wave_names), goals, target_columns, window, horizon),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=known,
        notes=(*time.notes(), *_notes(names, goals, left_out, int(gaps.sum()))),
        record=record("chronological", rows) | {"rows": {part: list(rows) for part, rows in bounds.items()}},
        baselines=partial(naive_forecasts, splits["train"], splits["test"], _season(season, time)),
    )


@dataclass(frozen=True)
class _Time:
    file: CsvFile
    column: str | None

    @property
    def step(self) -> float:
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


def _read(path: str | None) -> CsvFile:
    if path is not None:
        return read_csv(existing_file(path, "dataset.path"))
    with as_file(files("ptrun.data") / "melbourne_temperatures.csv") as embedded:
        return read_csv(embedded)


def _columns(file: CsvFile, wanted: str | Sequence[str], time: str | None) -> tuple[list[str], list[str]]:
    if wanted != "auto":
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        for name in names:
            file.column(name, "dataset.columns")
        return names, []
    others = [name for name in file.columns if name != time]
    # A column without a single number is text; one with some is meant as numbers, and a bad cell in it is an error.
    text = [name for name in others if not any(numbers_or_none([cell]) is not None for cell in file.columns[name])]
    names = [name for name in others if name not in text]
    if not names:
        raise DataError(f"{file.source} has no column of numbers. It has: {join_words(file.columns)}.")
    return names, text


def _targets(file: CsvFile, wanted: str | Sequence[str], names: Sequence[str]) -> list[str]:
    if wanted == "auto":
        return list(names)
    goals = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in goals:
        file.column(name, "dataset.targets")
        if name not in names:
            raise ConfigError(
                f"dataset.targets: '{name}' is not among dataset.columns ({join_words(names)}). Add it there."
            )
    return goals


def _bounds(
    count: int, given: Sequence[Sequence[int] | None], val_fraction: float, test_fraction: float, evaluating: bool
) -> Bounds:
    parts = ("train", "val", "test")
    if all(rows is None for rows in given):
        check_fractions(val_fraction, test_fraction, evaluating=evaluating)
        test = count - round(count * test_fraction)
        val = max(0, test - round(count * val_fraction))
        return {"train": (0, val), "val": (val, test), "test": (test, count)}
    bounds: Bounds = {}
    end = 0
    for part, rows in zip(parts, given, strict=True):
        if rows is None or len(rows) != 2 or not end <= rows[0] < rows[1]:
            raise ConfigError(
                f"dataset.{part}_rows is {rows if rows is None else list(rows)}; give all of train_rows, val_rows and test_rows "
                "as [start, end], each starting where the one before it ends or later."
            )
        if rows[1] > count:
            raise DataError(f"dataset.{part}_rows ends at {rows[1]}, but the file has {count} rows.")
        end = rows[1]
        bounds[part] = (rows[0], rows[1])
    return bounds


def _values(file: CsvFile, names: Sequence[str], missing: str) -> tuple[Floats, NDArray[np.bool_]]:
    """Numbers [rows, columns] without gaps, and where the gaps were. A gap takes the value before it, never a later one."""
    if missing not in ("error", "forward_fill"):
        raise ConfigError(f"dataset.missing is '{missing}'; it can be error or forward_fill.")
    values = np.column_stack([numbers(file.columns[name], file.rows, file.source, name) for name in names])
    gaps = np.isnan(values)
    if not gaps.any():
        return values, gaps
    row, column = (int(position) for position in np.argwhere(gaps)[0])
    place = f"{file.source}, row {file.rows[row]}, column '{names[column]}'"
    if missing == "error":
        raise DataError(f"{place}: the value is missing. Set dataset.missing to forward_fill, or fill it.")
    for i, name in enumerate(names):
        values[:, i] = _forward(values[:, i])
        left = np.flatnonzero(np.isnan(values[:, i]))
        if len(left):
            raise DataError(
                f"{file.source}, row {file.rows[left[0]]}, column '{name}': the value is missing and there is none to fill it from."
            )
    return values, gaps


def _forward(values: Floats) -> Floats:
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(last >= 0, values[last], np.nan)


def _fit(values: Floats, names: Sequence[str], goals: Sequence[str], train: tuple[int, int]) -> dict[str, Any]:
    if train[0] == train[1]:
        raise DataError(f"The file has {len(values)} rows, which leaves none to train on.")
    mean, std = fit_scaler(values[train[0] : train[1]])
    return {"columns": list(names), "targets": list(goals), "mean": mean.tolist(), "std": std.tolist()}


def _windows(
    values: torch.Tensor,
    known_rows: torch.Tensor,
    rows: tuple[int, int],
    window: int,
    horizon: int,
    columns: Sequence[int],
    first: bool,
) -> WindowSplit:
    """Windows whose targets lie in `rows` and were all measured: a filled value is no truth to learn or to be judged by."""
    start, end = rows
    begin = start if first else max(0, start - window)
    starts = torch.arange(begin, max(begin, end - window - horizon + 1))
    if not known_rows.all():
        measured = known_rows.unfold(0, horizon, 1).all(dim=1)
        starts = starts[measured[starts + window]]
    return WindowSplit(values, starts, window, horizon, torch.tensor(columns))


def _check_windows(
    splits: Mapping[str, WindowSplit], bounds: Bounds, window: int, horizon: int, *, evaluating: bool
) -> None:
    for part, split in splits.items():
        if not len(split) and not (evaluating and part != "test"):
            rows = bounds[part][1] - bounds[part][0]
            raise DataError(
                f"The {part} part has {rows} rows, too few for a window of {window} rows and a horizon of {horizon}. "
                f"Set dataset.window or dataset.horizon lower, or give more rows to {part}."
            )


def _spec(
    known: Mapping[str, Any],
    features: Sequence[str],
    goals: Sequence[str],
    columns: Sequence[int],
    window: int,
    horizon: int,
) -> DataSpec:
    ahead = range(1, horizon + 1)
    return DataSpec(
        layout=Layout.SEQUENCE,
        task=Task.REGRESSION,
        input_shape=(window, len(features)),
        num_outputs=horizon * len(goals),
        target_names=tuple(name if horizon == 1 else f"{name} +{step}" for step in ahead for name in goals),
        target_mean=tuple(known["mean"][i] for _ in ahead for i in columns),
        target_std=tuple(known["std"][i] for _ in ahead for i in columns),
        feature_names=tuple(features),
        horizon=horizon,
    )


def _season(wanted: str | int | None, time: _Time) -> int | None:
    if wanted == "auto":
        return season_rows(time.step)
    if isinstance(wanted, str) or (wanted is not None and wanted < 1):
        raise ConfigError(f"dataset.season is {wanted}; it can be auto, null, or a number of rows from 1 up.")
    return wanted


def _notes(names: Sequence[str], goals: Sequence[str], left_out: Sequence[str], filled: int) -> list[str]:
    notes = [f"Columns: {join_words(names)}. To forecast: {join_words(goals)}."]
    if left_out:
        notes.append(f"Left out, no numbers in it: {join_words(left_out)}.")
    if filled:
        notes.append(
            f"Missing values filled with the value before: {filled}. Windows that would forecast one are left out."
        )
    return notes
