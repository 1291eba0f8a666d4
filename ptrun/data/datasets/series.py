"""The `series` data set: sliding windows over a CSV file in the order of time, to forecast the rows that follow.

No look-ahead: the targets of a part lie in its own rows, its windows read earlier rows only, and values are
standardized with the training rows. No window reads two series, or rows on both sides of a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptrun.data.dataset import Data, SampleGroups
from ptrun.data.features import series_columns
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.labels import fit_scaler
from ptrun.data.features.series_columns import SeriesColumns
from ptrun.data.features.series_rows import (
    FilledRows,
    OrderedRows,
    fill_rows,
    notes_on_length,
    notes_on_time,
    order_rows,
    steps_of,
)
from ptrun.data.features.steps import Steps, step_to_remember, unlike_training
from ptrun.data.features.timeline import TimeAxis, calendar_of, season_rows
from ptrun.data.formats.csv_dialect import Header, header_setting
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.data.formats.paths import existing_file
from ptrun.data.naive_forecasts import naive_forecasts
from ptrun.data.partition import record
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import WindowSplit
from ptrun.data.windows import PARTS, RowParts, Windows, check_not_empty, divide, stretch_starts
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.rng import Floats
from ptrun.spec import DataSpec, Layout, Task

ADVICE = "name the columns to use in dataset.columns"


@datasets.register
def series(
    *,
    fitted: Mapping[str, Any] | None = None,
    path: str | None = None,
    header: Header = "auto",
    delimiter: str = "auto",
    time_column: str | Sequence[str] | None = "auto",
    date_order: str = "auto",
    group: str | Sequence[str] | None = "auto",
    columns: str | Sequence[str] = "auto",
    targets: str | Sequence[str] = "auto",
    decimal: str = "auto",
    missing_values: Sequence[str] | None = None,
    window: int = 30,
    horizon: int = 1,
    missing: str = "error",
    gaps: str = "auto",
    calendar: bool = False,
    season: str | int | None = "auto",
    splitting: SplitSettings = DEFAULT_SPLIT,
    train_rows: Sequence[int] | None = None,
    val_rows: Sequence[int] | None = None,
    test_rows: Sequence[int] | None = None,
) -> Data:
    """Windows of `window` rows whose targets are the next `horizon` rows; without `path`, Melbourne's temperatures.

    The parts follow each other in time, so that `split.seed` changes nothing. Rows are counted from 0 without the
    header in `train_rows`, `val_rows`, `test_rows`: [start, end). Windows of later parts begin `window` rows early.
    Raises DataError naming row and column of a cell that is missing or not a number.
    """
    _check_split(splitting)
    settings = ColumnSettings(
        decimal=decimal, date_order=date_order, missing_values=missing_values or (), advice=ADVICE
    )
    rows_by_part = {"train": train_rows, "val": val_rows, "test": test_rows}
    rows = order_rows(_read(path, header, delimiter, fitted), time_column, group, settings, fitted)
    chosen = _columns(rows, columns, targets, settings, fitted)
    filled = fill_rows(rows, chosen, settings, missing, may_cut=not any(rows_by_part.values()))
    steps = steps_of(filled.rows, gaps)
    parts = divide(rows_by_part, filled.rows.stretches, splitting)
    learned = dict(fitted) if fitted else _fit_to_training(filled, chosen, parts, steps)
    waves = calendar_of(filled.rows.axis, steps.usual) if calendar else (filled.values[:, :0], ())
    windows = _windows(filled, steps, standardized_inputs(filled.values, waves[0], learned), chosen, (window, horizon))
    splits = {part: windows.in_part(part, parts) for part in PARTS}
    check_not_empty(splits, parts, windows.longest_stretch, evaluating=splitting.evaluating)
    earliest, season_length = torch.from_numpy(windows.stretch_starts), _season(season, steps, filled.rows.axis)
    forecasts = partial(naive_forecasts, splits["train"], splits["test"], season_length, earliest)
    return _data(splits, learned, _spec(learned, windows, waves[1]), filled, steps, parts, chosen, forecasts)


def _check_split(splitting: SplitSettings) -> None:
    """Raise ConfigError for another division than the one by time."""
    problems = []
    if splitting.name not in ("auto", "time"):
        problems.append(f"split={splitting.name}: a series is divided by time. Use split=auto.")
    if splitting.group is not None:
        problems.append(
            f"split.group={splitting.group}: the series in one file are told apart by dataset.group, and each is "
            "divided by time."
        )
    if splitting.column not in (None, "auto"):
        problems.append(
            f"split.column={splitting.column}: the parts of a series are rows in the order of time. Give them as "
            "dataset.train_rows, val_rows and test_rows."
        )
    if splitting.folds is not None:
        problems.append(
            f"split.folds={splitting.folds}: a series has no folds, because training must come before testing."
        )
    if problems and not splitting.evaluating:
        raise ConfigError(problems)


def _read(path: str | None, header: Header, delimiter: str, fitted: Mapping[str, Any] | None) -> CsvFile:
    if path is not None:
        file = existing_file(path, "dataset.path")
        return read_csv(file, header=header_setting(header, fitted), delimiter=delimiter)
    with as_file(files("ptrun.data") / "melbourne_temperatures.csv") as embedded:
        return read_csv(embedded)


def _columns(
    rows: OrderedRows,
    columns: str | Sequence[str],
    targets: str | Sequence[str],
    settings: ColumnSettings,
    fitted: Mapping[str, Any] | None,
) -> SeriesColumns:
    if fitted:
        return series_columns.restored(rows.file, fitted)
    excluded = (*rows.axis.columns, *rows.groups.columns)
    return series_columns.choose_columns(rows.file, columns, targets, settings, excluded)


def _windows(
    filled: FilledRows, steps: Steps, inputs: Tensor, chosen: SeriesColumns, lengths: tuple[int, int]
) -> Windows:
    """All windows; lengths: rows that the model sees, and rows that it forecasts."""
    target_columns = [chosen.names.index(name) for name in chosen.targets]
    measured = torch.from_numpy(~filled.gaps[:, target_columns].any(axis=1))
    starts = stretch_starts(len(filled.values), filled.rows.stretches, steps.breaks)
    return Windows(inputs, measured, starts, target_columns, *lengths)


def _data(
    splits: Mapping[str, WindowSplit],
    learned: Mapping[str, Any],
    spec: DataSpec,
    filled: FilledRows,
    steps: Steps,
    parts: RowParts,
    chosen: SeriesColumns,
    forecasts: Callable[[], dict[str, Tensor]],
) -> Data:
    rows = filled.rows
    length = splits["train"].window + splits["train"].horizon
    unlike = unlike_training(steps, learned.get("step"), rows.axis.has_dates)
    notes = [*rows.notes, *notes_on_time(rows, steps), *([f"The file has {unlike}."] if unlike else [])]
    first_rows = [(part, split.starts.numpy() + split.window, None) for part, split in splits.items()]
    return Data(
        spec=spec,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=learned,
        notes=(*notes, *_notes(chosen, filled), *notes_on_length(rows, length)),
        record=record(parts.made, first_rows) | _rows_for_record(parts, rows),
        baselines=forecasts,
        groups=_groups(splits, rows),
    )


def _groups(splits: Mapping[str, WindowSplit], rows: OrderedRows) -> SampleGroups | None:
    """The series of each window; None for a single series."""
    if len(rows.stretches) < 2:
        return None
    first_rows = np.array([first for first, _ in rows.stretches])
    of = {part: np.searchsorted(first_rows, split.starts.numpy(), side="right") - 1 for part, split in splits.items()}
    return SampleGroups(" and ".join(rows.groups.columns), rows.groups.names, of)


def _fit_to_training(filled: FilledRows, chosen: SeriesColumns, parts: RowParts, steps: Steps) -> dict[str, Any]:
    train = parts.rows("train")
    if not len(train):
        raise DataError(f"The file has {len(filled.values)} rows, which leaves none to train on.")
    mean, std = fit_scaler(filled.values[train])
    learned = {**chosen.fitted(), "mean": mean.tolist(), "std": std.tolist()}
    if filled.rows.groups.columns:
        learned["group"] = list(filled.rows.groups.columns)
    if step := step_to_remember(steps, filled.rows.axis.has_dates):
        learned["step"] = step
    return learned if filled.rows.file.has_header else {**learned, "header": False}


def standardized_inputs(values: Floats, waves: Floats, fitted: Mapping[str, Any]) -> Tensor:
    """Standardized values with the calendar features beside them, float32 [rows, features]."""
    standardized = (values - np.array(fitted["mean"])) / np.array(fitted["std"])
    return torch.from_numpy(np.concatenate([standardized, waves], axis=1).astype(np.float32))


def _spec(fitted: Mapping[str, Any], windows: Windows, calendar_names: Sequence[str]) -> DataSpec:
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


def _season(season: str | int | None, steps: Steps, axis: TimeAxis) -> int | None:
    """Rows in a season, for the naive forecast; None for no season."""
    if season == "auto":
        return season_rows(steps.usual) if axis.has_dates else None
    if isinstance(season, str) or (season is not None and season < 1):
        raise ConfigError(f"dataset.season is {season}; it can be auto, null, or a number of rows from 1 up.")
    return season


def _rows_for_record(parts: RowParts, rows: OrderedRows) -> dict[str, Any]:
    if rows.groups.columns:
        by_series = {
            part: {name: list(bounds) for name, bounds in zip(rows.groups.names, pieces, strict=True)}
            for part, pieces in parts.bounds.items()
        }
        return {"group": list(rows.groups.columns), "rows": by_series}
    return {"rows": {part: list(pieces[0]) for part, pieces in parts.bounds.items()}}


def _notes(chosen: SeriesColumns, filled: FilledRows) -> list[str]:
    notes = [f"Columns: {join_words(chosen.names)}. To forecast: {join_words(chosen.targets)}.", *chosen.notes]
    num_filled = int(filled.gaps.sum())
    if filled.num_cut:
        notes.append(f"Rows at the beginning, left out because a column has no value yet: {filled.num_cut}.")
    if num_filled:
        notes.append(
            f"Missing values filled with the value before: {num_filled}. Windows that would forecast one are left out."
        )
    return notes
