"""Reads a list of images from a CSV file: a path and a label in each row."""

from __future__ import annotations

from pathlib import Path

from ptrun.data.formats.csv_dialect import Header
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.errors import DataError


def read_image_table(path: Path, start: Path, header: Header, delimiter: str) -> CsvFile:
    """The file. A relative path starts at `start`; for the header "auto", a first line that names an image is data."""
    if header is False:
        return read_csv(path, header=False, delimiter=delimiter)
    file = read_csv(path, delimiter=delimiter)
    if header == "auto" and any((start / Path(name).expanduser()).is_file() for name in file.columns):
        return read_csv(path, header=False, delimiter=delimiter)
    return file


def filled_column(file: CsvFile, column: str, kind: str) -> list[str]:
    """The cells of the column of paths or labels. Raises DataError for an empty one.

    kind: "path" or "label". In a file without a header line, the first column has the paths and the second the labels.
    """
    if not file.has_header and column == kind and len(file.columns) > 1:
        column = list(file.columns)[0 if kind == "path" else 1]
    cells = file.column(column, f"dataset.{kind}_column").texts()
    if "" in cells:
        raise DataError(f"{file.source}, row {file.rows[cells.index('')]}: the {kind} (column '{column}') is empty.")
    return cells
