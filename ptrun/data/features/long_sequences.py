"""Reads labeled sequences in long form: a row for each time step, and a column that says to which sequence it belongs.

The other columns are the time, the label, which is the same in all rows of a sequence, and the channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptrun.data.duplicates import units_of
from ptrun.data.features.kinds import ColumnSettings, decide_kinds, is_id_name, read_numbers
from ptrun.data.features.timeline import TIME_NAMES, read_axis
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.ts_file import Sequences
from ptrun.errors import DataError, join_words
from ptrun.rng import Floats

MIN_STEPS = 2  # time steps of a sequence in the mean, from which on a column of ids is taken for one
_STEP_NAMES = TIME_NAMES | {"t", "step", "time_step", "timestep", "reading_id", "position", "index"}
_ID_NAMES = frozenset({"case", "sequence", "sample", "series"})


def tells_sequences_apart(name: str) -> bool:
    """Whether a column is named like one that says to which sequence a row belongs."""
    return is_id_name(name) or name.lower() in _ID_NAMES


def find_id_column(file: CsvFile, id_column: str | None) -> str | None:
    """The column that tells the sequences apart, or None when each row is a sequence.

    id_column: its name, None for a file with one sequence in each row, or "auto": a column named like an id, whose
    values repeat. Raises DataError when there is no column of this name.
    """
    if id_column is None:
        return None
    if id_column != "auto":
        file.column(id_column, "dataset.id_column")
        return id_column
    names = [name for name in file.columns if tells_sequences_apart(name)]
    return next((name for name in names if len(file) >= MIN_STEPS * len(file[name].distinct[0])), None)


def read_long(
    file: CsvFile, id_column: str, label_column: str, row_labels: Sequence[str], settings: ColumnSettings
) -> Sequences:
    """The sequences of a file in long form, in the order of their first rows.

    label_column: no channel; "" for none. row_labels: the label of each row.
    Raises DataError naming the row of a value that is missing or no number, of a time that stands in a sequence twice,
    and of a label that differs from the one before it.
    """
    codes, first_row_of = units_of(file[id_column].distinct[1])
    time_column = _find_time(file, codes, (id_column, label_column))
    order = _order(file, codes, time_column, id_column, settings)
    others = [name for name in (id_column, label_column, time_column) if name]
    kinds = decide_kinds(file, [name for name in file.columns if name not in others], settings)
    channels = [kind for kind in kinds if kind.kind != "index"]
    if not channels:
        raise DataError(f"{file.source} has no channels: no columns beside {join_words(others)}.")
    table = np.column_stack([read_numbers(file, kind.name, kind.form) for kind in channels])
    _refuse_missing(file, table, [kind.name for kind in channels])
    ends = np.cumsum(np.bincount(codes))
    values: list[Floats] = np.split(table[order], ends[:-1])
    first_rows = order[[0, *ends[:-1]]]
    _refuse_two_labels(file, label_column, row_labels, first_row_of[codes], id_column)
    labels = [row_labels[row] for row in first_row_of]
    what = join_words([f"'{kind.name}'" for kind in channels], 6)
    by_time = f", in the order of '{time_column}'" if time_column else ", in the order of the rows"
    note = f"{len(values)} sequences in long form, told apart by '{id_column}'{by_time}; channels: {what}."
    return Sequences(
        file.source, values, labels, [file.rows[i] for i in first_rows], (*file.notes, note), file.has_header
    )


def _find_time(file: CsvFile, codes: NDArray[np.int64], others: Sequence[str]) -> str | None:
    """The column named like a time, else one that counts the rows of each sequence, else None."""
    names = [name for name in file.columns if name not in others]
    named = next((name for name in names if name.lower() in _STEP_NAMES), None)
    return named or next((name for name in names if _counts_steps(file, name, codes)), None)


def _counts_steps(file: CsvFile, name: str, codes: NDArray[np.int64]) -> bool:
    """Whether a column counts the rows of each sequence from 0 or 1, in any order."""
    values = file[name].floats
    if values is None or np.isnan(values).any():
        return False
    order = np.lexsort((values, codes))
    counts = np.bincount(codes)
    positions = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = values[order] - positions  # the number from which each sequence counts
    return bool(np.isin(begins, (0, 1)).all() and np.array_equal(begins, np.repeat(begins[positions == 0], counts)))


def _order(
    file: CsvFile, codes: NDArray[np.int64], time_column: str | None, id_column: str, settings: ColumnSettings
) -> NDArray[np.int64]:
    """The rows sequence by sequence, each in the order of time."""
    if time_column is None:
        return np.argsort(codes, kind="stable")
    times = read_axis(file, time_column, settings).times
    order = np.lexsort((times, codes))
    repeated = np.flatnonzero((np.diff(times[order]) == 0) & (np.diff(codes[order]) == 0))
    if len(repeated):
        row = int(order[repeated[0] + 1])
        raise DataError(
            f"{file.source}, row {file.rows[row]}: the sequence '{file[id_column][row]}' has the time "
            f"'{file[time_column][row]}' (column '{time_column}') twice. Keep one row for each time step."
        )
    return order


def _refuse_two_labels(
    file: CsvFile, label_column: str, labels: Sequence[str], first_rows: NDArray[np.int64], id_column: str
) -> None:
    """Raise DataError for a label that differs from that of the first row of its sequence."""
    for row, (label, first_row) in enumerate(zip(labels, first_rows.tolist(), strict=True)):
        if label != labels[first_row]:
            raise DataError(
                f"{file.source}, row {file.rows[row]}: the label (column '{label_column}') of the sequence "
                f"'{file[id_column][row]}' is '{label}', but '{labels[first_row]}' in its first row. A sequence has "
                "one label; if each row is a sequence, set dataset.id_column=null."
            )


def _refuse_missing(file: CsvFile, table: Floats, names: list[str]) -> None:
    missing = np.argwhere(np.isnan(table))
    if len(missing):
        row, column = missing[0]
        raise DataError(
            f"{file.source}, row {file.rows[row]}, column '{names[column]}': the value is missing. Fill it, or remove "
            "the row."
        )
