"""Reads labeled sequences: of .ts files, and of CSV files with a sequence, or one of its time steps, in each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptrun.data.features.kinds import COUNTS_ROWS, ColumnKind, ColumnSettings, decide_kinds, read_numbers
from ptrun.data.features.labels import tidy_numbers
from ptrun.data.features.long_sequences import find_id_column, read_long, tells_sequences_apart
from ptrun.data.formats.column import MISSING
from ptrun.data.formats.csv_dialect import Header
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.data.formats.number_form import PLAIN, NumberForm
from ptrun.data.formats.ts_file import Sequences, read_ts
from ptrun.errors import DataError, join_words
from ptrun.rng import Floats

LABEL_NAMES = ("label", "class", "target")
ADVICE = "remove the column"


def read_sequences(
    path: Path,
    label_column: str,
    header: Header,
    delimiter: str,
    decimal: str,
    id_column: str | None = "auto",
    *,
    trained: Mapping[str, Any] | None = None,
) -> Sequences:
    """Read a .ts file, or any other file as a CSV in wide or long form. Raises DataError naming the row of a misfit.

    id_column: see find_id_column.
    trained: what a model learned, for sequences that it is to predict; they may have labels, which are not read.
    """
    if path.suffix.lower() == ".ts":
        return read_ts(path, labeled=trained is None)
    texts = {label_column, id_column, "column 1"}  # the last one is the label of a file without a header line

    def is_text(name: str) -> bool:
        return name in texts or name.lower() in LABEL_NAMES or tells_sequences_apart(name)

    file = read_csv(path, header=header, delimiter=delimiter, is_text=is_text)
    if trained is None:
        name = _label_name(file, label_column)
        labels = _labels(file, name)
    else:
        name = _passed_over(file, label_column, trained)
        labels = ["?"] * len(file)
    settings = ColumnSettings(decimal=decimal, has_missing_values=False, advice=ADVICE)
    found_column = find_id_column(file, id_column)
    if found_column is not None:
        return read_long(file, found_column, name, labels, settings)
    kinds = decide_kinds(file, [column for column in file.columns if column != name], settings)
    steps = _without_index(kinds)
    columns = [kind.name for kind in steps]
    if not columns:
        raise DataError(f"{path} has a label column and no values beside it.")
    table = np.column_stack([read_numbers(file, kind.name, kind.form) for kind in steps])
    values = [_trimmed(line, path, row, columns) for line, row in zip(table, file.rows, strict=True)]
    notes = (*file.notes, *_notes(steps, [kind for kind in kinds if kind not in steps]))
    if name and trained is not None:
        notes = (*notes, f"Passed over as the label: column '{name}'.")
    return Sequences(str(path), values, labels, list(file.rows), notes, file.has_header)


def _labels(file: CsvFile, name: str) -> list[str]:
    labels = file.column(name, "dataset.label_column").texts()
    if "" in labels:
        row = file.rows[labels.index("")]
        raise DataError(f"{file.source}, row {row}: the label (column '{name}') is missing.")
    return labels


def _passed_over(file: CsvFile, label_column: str, trained: Mapping[str, Any]) -> str:
    """The column of labels in a file of sequences to predict; "" when there is none."""
    named = [column for column in file.columns if _names_label(column, label_column)]
    if named or file.has_header or label_column != "auto":
        return next(iter(named), "")
    first, *others = file.columns
    is_longer = len(file.columns) > trained.get("length", 0)  # by the label
    holds_classes = _holds_classes(file, first, trained)
    return first if holds_classes and (is_longer or not all(_holds_classes(file, o, trained) for o in others)) else ""


def _holds_classes(file: CsvFile, column: str, trained: Mapping[str, Any]) -> bool:
    """Whether all cells of a column are names of classes, or missing."""
    cells = [cell for cell in file[column].texts() if cell not in MISSING]
    return set(tidy_numbers(cells)) <= set(trained.get("class_names", ()))


def _names_label(column: str, label_column: str) -> bool:
    """Whether a column of sequences to predict holds labels, by its name."""
    return column.lower() in LABEL_NAMES if label_column == "auto" else column == label_column


def _without_index(kinds: Sequence[ColumnKind]) -> list[ColumnKind]:
    """The columns that are time steps: all but those without a name, and a running number at one end of the row."""
    ends = (kinds[0].name, kinds[-1].name) if kinds else ()
    return [kind for kind in kinds if kind.kind != "index" or (kind.reason == COUNTS_ROWS and kind.name not in ends)]


def _notes(steps: Sequence[ColumnKind], left_out: Sequence[ColumnKind]) -> list[str]:
    forms: dict[NumberForm, list[str]] = {}
    for kind in steps:
        if kind.form != PLAIN:
            forms.setdefault(kind.form, []).append(kind.name)
    notes = [f"Numbers written with {form.describe()}: {join_words(names, 5)}." for form, names in forms.items()]
    return notes + [f"Left out ({kind.reason}): {kind.name}." for kind in left_out]


def _label_name(file: CsvFile, label_column: str) -> str:
    if label_column != "auto":
        return label_column
    if not file.has_header:
        return next(iter(file.columns))
    candidates = [name for name in file.columns if name.lower() in LABEL_NAMES]
    if len(candidates) != 1:
        raise DataError(
            f"{file.source} has {len(candidates) or 'no'} columns called {', '.join(LABEL_NAMES)}. Name the label in "
            "dataset.label_column; for a file without a header line, set dataset.header=false (its first column is "
            "the label then)."
        )
    return candidates[0]


def _trimmed(values: Floats, path: Path, row: int, columns: Sequence[str]) -> Floats:
    """The values [time steps, 1] without the empty cells at the end. Raises DataError for a gap before them."""
    present = np.flatnonzero(~np.isnan(values))
    if len(present) == 0:
        raise DataError(f"{path}, row {row}: it has no values.")
    gaps = np.flatnonzero(np.isnan(values[: present[-1]]))
    if len(gaps):
        raise DataError(
            f"{path}, row {row}, column '{columns[gaps[0]]}': the value is missing. Fill it, or remove the row."
        )
    return values[: present[-1] + 1, None]
