"""Which rows of a table are the same: those with equal cells in all columns that a model may see."""

from __future__ import annotations

from collections.abc import Sequence

from ptrun.data.duplicates import Keys, keys_of_columns
from ptrun.data.features.columns import is_free_text
from ptrun.data.features.kinds import ColumnKind
from ptrun.data.formats.csv_file import CsvFile


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
