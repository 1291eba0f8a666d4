"""The rows of a series as they are used: in the order of time, series by series, without gaps in their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features import series_columns
from ptrun.data.features.groups import Groups, find_groups
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.series_columns import SeriesColumns
from ptrun.data.features.stacked import find_stacked, may_tell_apart
from ptrun.data.features.steps import NO_ROWS, NO_STEPS, Steps, find_steps, step_text
from ptrun.data.features.timeline import NO_AXIS, TimeAxis, could_be_times, read_axis, refuse_unread
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.partition import Indices
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.rng import Floats


@dataclass(frozen=True)
class OrderedRows:
    """A file whose rows are in the order of time, series by series."""

    file: CsvFile
    axis: TimeAxis
    groups: Groups
    notes: tuple[str, ...] = ()

    @property
    def stretches(self) -> Sequence[tuple[int, int]]:
        """The first row of each series, and the row after its last."""
        return self.groups.stretches

    @property
    def is_turned(self) -> bool:
        """Whether the rows stand in another order in the file."""
        return not np.array_equal(self.groups.order, np.arange(len(self.file)))


@dataclass(frozen=True)
class FilledRows:
    """The rows that are used, their values [rows, columns], where gaps were filled, and how many rows were cut off."""

    rows: OrderedRows
    values: Floats
    gaps: NDArray[np.bool_]
    num_cut: int


def order_rows(
    file: CsvFile,
    time_column: str | Sequence[str] | None,
    group: str | Sequence[str] | None,
    settings: ColumnSettings,
    fitted: Mapping[str, Any] | None,
) -> OrderedRows:
    """The rows of a file in the order of time, series by series."""
    axis = read_axis(file, time_column, settings)
    if fitted and group == "auto":
        group = fitted.get("group")
    if time_column == "auto" and not axis.columns:
        axis, group = _stacked(file, group, settings)
        if not axis.columns and not fitted:
            refuse_unread(file)
    groups = find_groups(file, axis, group)
    notes = [*file.notes, *groups.notes]
    if time_column == "auto" and (names := [name for name in could_be_times(file) if name not in axis.columns]):
        notes.append(f"Taken as data and not as the time, because the numbers do not ascend: {join_words(names)}.")
    if not axis.columns and group == "auto":
        notes += _notes_on_blocks(file)
    if np.array_equal(groups.order, np.arange(len(file))):
        return OrderedRows(file, axis, groups, tuple(notes))
    ordered_axis = axis.take(groups.order) if axis.columns else axis
    return OrderedRows(file.take(groups.order), ordered_axis, groups, tuple(notes))


def _stacked(
    file: CsvFile, group: str | Sequence[str] | None, settings: ColumnSettings
) -> tuple[TimeAxis, str | Sequence[str] | None]:
    """The time of series that stand below each other, each with numbers of its own, and the column that names them."""
    known = () if group == "auto" else (group,) if isinstance(group, str) else tuple(group or ())
    stacked = find_stacked(file, known) if group is not None and len(known) < 2 else None
    return (read_axis(file, stacked[0], settings), stacked[1]) if stacked else (NO_AXIS, group)


def _notes_on_blocks(file: CsvFile) -> list[str]:
    """Columns of texts that may name series, because all rows with the same text stand together."""
    texts = [name for name in file.columns if file[name].floats is None and may_tell_apart(file[name])]
    names = [name for name in texts if np.count_nonzero(np.diff(file[name].distinct[1])) == len(file[name].counts) - 1]
    return [
        f"All rows with the same '{name}' stand together. If it names several series, set dataset.group={name}; "
        "as it is, windows read from one into the next."
        for name in names
    ]


def notes_on_length(ordered: OrderedRows, length: int) -> list[str]:
    """Which of several series are too short for a window and the rows to forecast after it."""
    pairs = zip(ordered.groups.names, ordered.stretches, strict=False)
    short = [f"{name} ({end - first} rows)" for name, (first, end) in pairs if end - first < length]
    return [f"Series that are too short to use, which need {length} rows: {join_words(short, 5)}."] if short else []


def fill_rows(
    ordered: OrderedRows, chosen: SeriesColumns, settings: ColumnSettings, missing: str, *, may_cut: bool
) -> FilledRows:
    """The values without gaps. Rows at the beginning that nothing can fill are cut off, unless the user counts rows."""
    values = series_columns.read_values(ordered.file, chosen, settings.missing_values)
    num_cut = 0
    if missing == "forward_fill" and may_cut:
        is_leading = series_columns.leading_gaps(values, ordered.stretches)
        num_cut = int(is_leading.sum())
        if num_cut:
            ordered, values = _without(ordered, np.flatnonzero(~is_leading)), values[~is_leading]
    values, gaps = series_columns.filled(ordered.file, chosen, values, missing, ordered.stretches)
    return FilledRows(ordered, values, gaps, num_cut)


def _without(ordered: OrderedRows, kept: Indices) -> OrderedRows:
    """Only some of the rows. Raises DataError when none is left."""
    if not len(kept):
        raise DataError(f"{ordered.file.source}: some column that is read has no value in any row. Leave it out.")
    axis = ordered.axis.take(kept) if ordered.axis.columns else ordered.axis
    return replace(ordered, file=ordered.file.take(kept), axis=axis, groups=ordered.groups.take(kept))


def steps_of(ordered: OrderedRows, gaps: str) -> Steps:
    """The steps between rows; without breaks where windows may cross them. Raises ConfigError for another word."""
    if gaps not in ("auto", "ignore"):
        raise ConfigError(f"dataset.gaps is '{gaps}'; it can be auto or ignore.")
    steps = find_steps(ordered.axis, ordered.stretches) if ordered.axis.columns else NO_STEPS
    return replace(steps, breaks=NO_ROWS) if gaps == "ignore" else steps


def notes_on_time(ordered: OrderedRows, steps: Steps) -> list[str]:
    """What the time axis is, and where its steps are not even."""
    axis = ordered.axis
    if not axis.columns:
        return ["No time column found: the rows are taken to be in the order of time."]
    title = "Time column" if len(axis.columns) == 1 else "Time columns"
    order = np.argsort(axis.times, kind="stable")
    step = f", in steps of {step_text(steps.usual, axis.has_dates)}" if steps.usual and not steps.is_uneven else ""
    notes = [f"{title} {axis.name}, from {axis.cells[int(order[0])]} to {axis.cells[int(order[-1])]}{step}."]
    if steps.is_uneven:
        notes.append("The rows are not at even steps of time. A window is a number of rows, not a length of time.")
    if len(steps.breaks):
        notes.append(
            f"Gaps or changes of step, which no window crosses: {len(steps.breaks)}, {_places(ordered, steps.breaks)}. "
            "dataset.gaps=ignore lets windows cross them."
        )
    if len(steps.skipped):
        notes.append(f"A single row is missing at {len(steps.skipped)} places: {_places(ordered, steps.skipped)}.")
    if len(steps.repeated):
        cells = [f"{axis.cells[i]} (row {ordered.file.rows[i]})" for i in steps.repeated[:3].tolist()]
        more = f" and {len(steps.repeated) - 3} more" if len(steps.repeated) > 3 else ""
        notes.append(f"Times that stand twice: {join_words(cells)}{more}. Remove a row of each.")
    return notes


def _places(ordered: OrderedRows, breaks: Indices) -> str:
    places = [f"after {ordered.axis.cells[i]} (row {ordered.file.rows[i]})" for i in breaks[:3].tolist()]
    return ", ".join(places) + (f" and {len(breaks) - 3} more" if len(breaks) > 3 else "")
