"""The `series` data set: sliding windows over a CSV file in the order of time, to forecast the rows that follow.

No look-ahead: the targets of a part lie in its own rows, its windows read earlier rows only, and values are
standardized with the training rows. No window reads two series, or rows on both sides of a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptrun.data.dataset import Data
from ptrun.data.features import series_columns
from ptrun.data.features.groups import Groups, find_groups
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.labels import fit_scaler
from ptrun.data.features.series_columns import SeriesColumns
from ptrun.data.features.steps import NO_ROWS, NO_STEPS, Steps, find_steps, step_text
from ptrun.data.features.timeline import TimeAxis, calendar_of, could_be_times, read_axis, season_rows
from ptrun.data.formats.csv_dialect import Header
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.data.formats.paths import existing_file
from ptrun.data.naive_forecasts import naive_forecasts
from ptrun.data.partition import Indices, SplitSettings, record
from ptrun.data.windows import RowParts, Stretches, Windows, check_not_empty, divide, stretch_starts
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
    settings = ColumnSettings(
        decimal=decimal, date_order=date_order, missing_values=missing_values or (), advice=ADVICE
    )
    rows_by_part = {"train": train_rows, "val": val_rows, "test": test_rows}
    ordered = _ordered(_read(path, header, delimiter, fitted), time_column, group, settings, fitted)
    chosen = _columns(ordered, columns, targets, settings, fitted)
    table = _filled(ordered, chosen, settings, missing, may_cut=not any(rows_by_part.values()))
    steps = _steps(table.ordered, gaps)
    parts = divide(rows_by_part, table.ordered.stretches, splitting)
    learned = dict(fitted) if fitted else _fit_to_training(table, chosen, parts)
    waves, wave_names = calendar_of(table.ordered.axis, steps.usual) if calendar else (table.values[:, :0], ())
    target_columns = [chosen.names.index(name) for name in chosen.targets]
    measured = torch.from_numpy(~table.gaps[:, target_columns].any(axis=1))
    starts = stretch_starts(len(table.values), table.ordered.stretches, steps.breaks)
    windows = Windows(_inputs(table.values, waves, learned), measured, starts, target_columns, window, horizon)
    splits = {part: windows.in_part(part, parts) for part in ("train", "val", "test")}
    check_not_empty(splits, parts, int(np.bincount(starts).max()), evaluating=splitting.evaluating)
    first_rows = [(part, split.starts.numpy() + window, None) for part, split in splits.items()]
    earliest = torch.from_numpy(starts)
    season_length = _season(season, steps, table.ordered.axis)
    return Data(
        spec=_spec(learned, windows, wave_names),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        fitted=learned,
        notes=(*table.ordered.notes, *_notes_on_time(table.ordered, steps), *_notes(chosen, table)),
        record=record("chronological", first_rows) | _rows_for_record(parts, table.ordered),
        baselines=partial(naive_forecasts, splits["train"], splits["test"], season_length, earliest),
    )


@dataclass(frozen=True)
class _Ordered:
    """A file whose rows are in the order of time, series by series."""

    file: CsvFile
    axis: TimeAxis
    groups: Groups
    stretches: Stretches
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Filled:
    """The rows that are used, their values [rows, columns], where gaps were filled, and how many rows were cut off."""

    ordered: _Ordered
    values: Floats
    gaps: np.typing.NDArray[np.bool_]
    num_cut: int


def _read(path: str | None, header: Header, delimiter: str, fitted: Mapping[str, Any] | None) -> CsvFile:
    if fitted and header == "auto":
        header = fitted.get("header", True)  # a model that was trained on named columns needs their names
    if path is not None:
        return read_csv(existing_file(path, "dataset.path"), header=header, delimiter=delimiter)
    with as_file(files("ptrun.data") / "melbourne_temperatures.csv") as embedded:
        return read_csv(embedded)


def _ordered(
    file: CsvFile,
    time_column: str | Sequence[str] | None,
    group: str | Sequence[str] | None,
    settings: ColumnSettings,
    fitted: Mapping[str, Any] | None,
) -> _Ordered:
    """The rows of a file in the order of time, series by series."""
    axis = read_axis(file, time_column, settings)
    if fitted and group == "auto":
        group = fitted.get("group")
    groups = find_groups(file, axis, group)
    notes = [*file.notes, *groups.notes]
    if time_column == "auto" and (names := could_be_times(file)):
        notes.append(f"Taken as data and not as the time, because the numbers do not ascend: {join_words(names)}.")
    if np.array_equal(groups.order, np.arange(len(file))):
        return _Ordered(file, axis, groups, groups.stretches, tuple(notes))
    ordered_axis = axis.take(groups.order) if axis.columns else axis
    return _Ordered(file.take(groups.order), ordered_axis, groups, groups.stretches, tuple(notes))


def _columns(
    ordered: _Ordered,
    columns: str | Sequence[str],
    targets: str | Sequence[str],
    settings: ColumnSettings,
    fitted: Mapping[str, Any] | None,
) -> SeriesColumns:
    if fitted:
        return series_columns.restored(ordered.file, fitted)
    excluded = (*ordered.axis.columns, *ordered.groups.columns)
    return series_columns.choose_columns(ordered.file, columns, targets, settings, excluded)


def _filled(
    ordered: _Ordered, chosen: SeriesColumns, settings: ColumnSettings, missing: str, *, may_cut: bool
) -> _Filled:
    """The values without gaps. Rows at the beginning that nothing can fill are cut off, unless the user counts rows."""
    values = series_columns.read_values(ordered.file, chosen, settings.missing_values)
    num_cut = 0
    if missing == "forward_fill" and may_cut:
        is_leading = series_columns.leading_gaps(values, ordered.stretches)
        num_cut = int(is_leading.sum())
        if num_cut:
            ordered, values = _without(ordered, np.flatnonzero(~is_leading)), values[~is_leading]
    values, gaps = series_columns.filled(ordered.file, chosen, values, missing, ordered.stretches)
    return _Filled(ordered, values, gaps, num_cut)


def _without(ordered: _Ordered, kept: Indices) -> _Ordered:
    """Only some of the rows. Raises DataError when none is left."""
    if not len(kept):
        raise DataError(f"{ordered.file.source}: some column that is read has no value in any row. Leave it out.")
    bounds = np.searchsorted(kept, np.array(ordered.stretches))
    stretches = [(int(first), int(end)) for first, end in bounds if first < end]
    axis = ordered.axis.take(kept) if ordered.axis.columns else ordered.axis
    return replace(ordered, file=ordered.file.take(kept), axis=axis, stretches=stretches)


def _steps(ordered: _Ordered, gaps: str) -> Steps:
    """The steps between rows; without breaks where windows may cross them."""
    if gaps not in ("auto", "ignore"):
        raise ConfigError(f"dataset.gaps is '{gaps}'; it can be auto or ignore.")
    steps = find_steps(ordered.axis, ordered.stretches) if ordered.axis.columns else NO_STEPS
    return replace(steps, breaks=NO_ROWS) if gaps == "ignore" else steps


def _fit_to_training(table: _Filled, chosen: SeriesColumns, parts: RowParts) -> dict[str, Any]:
    train = parts.rows("train")
    if not len(train):
        raise DataError(f"The file has {len(table.values)} rows, which leaves none to train on.")
    mean, std = fit_scaler(table.values[train])
    learned = {**chosen.fitted(), "mean": mean.tolist(), "std": std.tolist()}
    if table.ordered.groups.columns:
        learned["group"] = list(table.ordered.groups.columns)
    return learned if table.ordered.file.has_header else {**learned, "header": False}


def _inputs(values: Floats, waves: Floats, fitted: Mapping[str, Any]) -> Tensor:
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


def _rows_for_record(parts: RowParts, ordered: _Ordered) -> dict[str, Any]:
    if ordered.groups.columns:
        bounds = {
            part: {name: list(rows) for name, rows in zip(ordered.groups.names, pieces, strict=False)}
            for part, pieces in parts.bounds.items()
        }
        return {"group": list(ordered.groups.columns), "rows": bounds}
    return {"rows": {part: list(pieces[0]) for part, pieces in parts.bounds.items()}}


def _notes_on_time(ordered: _Ordered, steps: Steps) -> list[str]:
    """What the time axis is, and where its steps are not even."""
    axis = ordered.axis
    if not axis.columns:
        return ["No time column found: the rows are taken to be in the order of time."]
    title = "Time column" if len(axis.columns) == 1 else "Time columns"
    order = np.argsort(axis.times, kind="stable")
    step = f", in steps of {step_text(steps.usual, axis.has_dates)}" if steps.usual and not steps.is_uneven else ""
    notes = [f"{title} {axis.name}, from {axis.cells[int(order[0])]} to {axis.cells[int(order[-1])]}{step}."]
    if steps.is_uneven:
        notes.append("The steps between the rows are not even. Windows are rows, whatever the time between them.")
    if len(steps.breaks):
        notes.append(
            f"{len(steps.breaks)} gaps or changes of step, which no window crosses: {_places(ordered, steps.breaks)}. "
            "dataset.gaps=ignore lets windows cross them."
        )
    if len(steps.skipped):
        notes.append(f"A single row is missing at {len(steps.skipped)} places: {_places(ordered, steps.skipped)}.")
    if len(steps.repeated):
        cells = [f"{axis.cells[i]} (row {ordered.file.rows[i]})" for i in steps.repeated[:3].tolist()]
        more = f" and {len(steps.repeated) - 3} more" if len(steps.repeated) > 3 else ""
        notes.append(f"Times that stand twice: {join_words(cells)}{more}. Remove a row of each.")
    return notes


def _places(ordered: _Ordered, breaks: Indices) -> str:
    places = [f"after {ordered.axis.cells[i]} (row {ordered.file.rows[i]})" for i in breaks[:3].tolist()]
    return ", ".join(places) + (f" and {len(breaks) - 3} more" if len(breaks) > 3 else "")


def _notes(chosen: SeriesColumns, table: _Filled) -> list[str]:
    notes = [f"Columns: {join_words(chosen.names)}. To forecast: {join_words(chosen.targets)}.", *chosen.notes]
    num_filled = int(table.gaps.sum())
    if table.num_cut:
        notes.append(f"Rows at the beginning, left out because a column has no value yet: {table.num_cut}.")
    if num_filled:
        notes.append(
            f"Missing values filled with the value before: {num_filled}. Windows that would forecast one are left out."
        )
    return notes
