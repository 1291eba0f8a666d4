"""What decides the parts of the rows of a table: their targets, the columns that the split names, and which are equal.

Rows are equal when their cells are in all columns that a model may see.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptrun.data.duplicates import Identified, Keys, keys_of_columns
from ptrun.data.features.columns import is_free_text
from ptrun.data.features.kinds import ColumnKind, ColumnSettings, is_id_name
from ptrun.data.features.target import Target
from ptrun.data.features.timeline import read_axis
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.samples import Given, Samples
from ptrun.data.split_settings import SplitSettings
from ptrun.errors import DataError, join_words


def columns_of_split(file: CsvFile, splitting: SplitSettings, known: Sequence[str]) -> list[str]:
    """The columns by which the rows are divided, which are no inputs, but for those that are known to be none."""
    named = {"split.group": splitting.group, "split.column": splitting.column}
    columns = {setting: name for setting, name in named.items() if name is not None}
    for setting, name in columns.items():
        file.column(name, setting)
    return [name for name in columns.values() if name not in known]


def possible_groups(file: CsvFile, kinds: Sequence[ColumnKind], splitting: SplitSettings) -> list[str]:
    """A note on columns of ids that repeat, when the rows are divided at random: rows of one id may be torn apart."""
    if splitting.group is not None or splitting.column is not None or splitting.name in ("time", "column"):
        return []
    names = [kind.name for kind in kinds if is_id_name(kind.name) and 2 * len(file[kind.name].distinct[0]) <= len(file)]
    return [
        f"Column '{name}' has the same ids in several rows, which may stand in different parts. split.group={name} "
        "keeps the rows of each together, and out of the inputs."
        for name in names
    ]


def identity_columns(file: CsvFile, kinds: Sequence[ColumnKind]) -> list[str]:
    """The columns that tell rows apart: without running numbers, ids, and texts that differ in nearly every row."""
    named = [kind for kind in kinds if kind.kind != "index"]
    return [kind.name for kind in named if kind.kind != "category" or not is_free_text(file[kind.name])]


def row_keys(file: CsvFile, names: Sequence[str]) -> Keys | None:
    """The key of each row by these columns; None without columns. Numbers that are written differently are equal."""
    if not names:
        return None
    columns = (file[name] for name in names)
    return keys_of_columns((c.distinct if (floats := c.floats) is None else floats for c in columns), len(file))


def row_samples(
    file: CsvFile,
    other: CsvFile | None,
    goal: Target,
    settings: ColumnSettings,
    identity: Sequence[str],
) -> Samples:
    """What decides the part of each row. other: the test file. identity: the columns that tell rows apart."""
    classes = goal.values(file) if goal.class_names else None
    return Samples(
        count=len(file),
        noun="rows",
        same="have the same inputs as",
        name=lambda position: f"row {file.rows[position]}",
        classes=classes,
        class_names=goal.class_names,
        targets=file[goal.column].distinct[1] if classes is None else classes,
        keys=row_keys(file, identity),
        given={} if other is None else {"test": Given("dataset.test_path", _identified(other, goal, identity))},
        column=lambda name, setting: file.column(name, setting).texts(),
        times=lambda columns: times_of(file, columns, settings),
    )


def _identified(other: CsvFile, goal: Target, identity: Sequence[str]) -> Identified | None:
    """The rows of the test file with their keys; None when it lacks a column."""
    keys = row_keys(other, identity) if all(name in other.columns for name in identity) else None
    targets = goal.values(other) if goal.class_names else None
    return (
        None
        if keys is None
        else Identified(keys, lambda position: f"row {other.rows[position]} of {other.source}", targets)
    )


def times_of(
    file: CsvFile, columns: str | Sequence[str], settings: ColumnSettings
) -> tuple[NDArray[np.float64], Sequence[str]]:
    """The time of each row and how it is written. Raises DataError when there is none."""
    for name in () if columns == "auto" else (columns,) if isinstance(columns, str) else columns:
        file.column(name, "split.time_column")
    axis = read_axis(file, columns, settings)
    if not axis.columns:
        raise DataError(
            f"split=time: {file.source} has no column of dates. Name the one with the time: split.time_column=COLUMN. "
            f"The columns are: {join_words(file.columns)}."
        )
    return axis.times, axis.cells
