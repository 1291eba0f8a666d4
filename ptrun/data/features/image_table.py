"""Reads a list of images from a CSV file: a path and a label in each row."""

from __future__ import annotations

from pathlib import Path

from ptrun.data.formats.csv_dialect import Header
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.errors import DataError, join_words

# What columns of paths and of labels are called, in this order.
USUAL_NAMES = {
    "path": ("path", "file", "filename", "image", "file_name", "filepath", "image_path"),
    "label": ("label", "class", "target", "category"),
}


def read_image_table(path: Path, start: Path, header: Header, delimiter: str) -> CsvFile:
    """The file. A relative path starts at `start`; for the header "auto", a first line that names an image is data."""
    if header is False:
        return read_csv(path, header=False, delimiter=delimiter)
    file = read_csv(path, delimiter=delimiter)
    if header == "auto" and any((start / Path(name).expanduser()).is_file() for name in file.columns):
        return read_csv(path, header=False, delimiter=delimiter)
    return file


def chosen_column(file: CsvFile, setting: str, column: str, kind: str) -> str:
    """The column of paths or labels that a setting chooses.

    column: its name; "auto" for the first of the usual names that the file has, or in a file without a header line the
        first column for the paths and the second for the labels. kind: "path" or "label".
    Raises DataError where "auto" finds none.
    """
    names = list(file.columns)
    if not file.has_header and column in ("auto", kind) and len(names) > 1:
        return names[0 if kind == "path" else 1]
    if column != "auto":
        return column
    by_lower_case = {name.lower(): name for name in reversed(names)}
    usual_column = next((by_lower_case[name] for name in USUAL_NAMES[kind] if name in by_lower_case), None)
    if usual_column is None:
        raise DataError(
            f"{file.source} has no column called {join_words(USUAL_NAMES[kind])}. It has: {join_words(names)}. Name "
            f"the column of {kind}s: {setting}=NAME."
        )
    return usual_column


def filled_column(file: CsvFile, setting: str, column: str, kind: str) -> list[str]:
    """The cells of the column of paths or labels. Raises DataError for an empty one."""
    column = chosen_column(file, setting, column, kind)
    cells = file.column(column, setting).texts()
    if "" in cells:
        raise DataError(f"{file.source}, row {file.rows[cells.index('')]}: the {kind} (column '{column}') is empty.")
    return cells
