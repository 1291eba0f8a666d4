"""New rows of a table: read in chunks from a CSV file of any length, and encoded as in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ptrun.data.features.columns import Encoding, encode_columns
from ptrun.data.features.unusual import unusual_cells
from ptrun.data.formats.column import Column
from ptrun.data.formats.csv_chunks import ALL, CsvChunk, ReadChunks, Wanted
from ptrun.data.formats.csv_file import CsvFile, num_columns
from ptrun.data.inputs.source import Chunk, RowNames
from ptrun.errors import DataError, did_you_mean, join_words

T = TypeVar("T")
_MISSING_TYPES = ("NAType", "NaTType")  # of pandas, which need not be installed
CHUNK_ROWS = 8192  # rows encoded at a time, about: fewer take longer, more take memory


@dataclass(frozen=True)
class TableRows:
    """The source of the rows of a file. keep: names of columns to keep beside the predictions; None keeps all.

    reads_ahead: whether a thread reads the next rows and another one encodes them, while others are predicted;
        false where rows may arrive slowly.
    """

    read: ReadChunks
    encodings: Sequence[Encoding]
    batch_size: int
    keep: Sequence[str] | None = ()
    identity: str = ""
    notes: tuple[str, ...] = ()
    count: int | None = None
    reads_ahead: bool = False

    def chunks(self, start: int) -> Iterator[Chunk]:
        chunk_rows = max(1, CHUNK_ROWS // self.batch_size) * self.batch_size
        read = self.read(chunk_rows=chunk_rows, start=start)
        return ahead(self._encoded(ahead(read))) if self.reads_ahead else self._encoded(read)

    def _encoded(self, chunks: Iterator[CsvChunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            require_columns(chunk.file, self.encodings)
            yield encoded_chunk(chunk, self.encodings, self.keep)


def ahead(chunks: Iterator[T]) -> Iterator[T]:
    """The chunks of an iterator, of which a thread prepares the next one while the last one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk


def encoded_chunk(chunk: CsvChunk, encodings: Sequence[Encoding], keep: Sequence[str] | None) -> Chunk:
    """The rows as a model receives them; those that can't be encoded are problems."""
    file, problems = chunk.file, dict(chunk.problems)
    try:
        features = encode_columns(file, encodings, file.source)
    except DataError:
        bad = _row_problems(file, encodings)
        problems |= bad
        file = file.take([i for i, number in enumerate(file.rows) if number not in bad])
        features = encode_columns(file, encodings, file.source)
    position = {number: i for i, number in enumerate(chunk.rows)} if problems else {}
    kept = list(chunk.file.columns) if keep is None else list(keep)
    return Chunk(
        RowNames(chunk.rows),
        torch.from_numpy(features),
        {position[number]: reason for number, reason in sorted(problems.items())},
        {name: _texts(chunk, name) for name in kept},
        unusual_cells(file, encodings, features),
    )


def numbered_columns(
    fitted: Mapping[str, Any], target: str, path: Path | None, delimiter: str
) -> tuple[list[str] | None, tuple[str, ...]]:
    """The columns of the training file, which had no header line; None to number those of the new file.

    path: the new file; None for standard input. A checkpoint of an earlier version does not say how many columns there
    were. Where it matters, because a missing target moves inputs to the left, a note says what is assumed.
    """
    if "num_columns" in fitted:
        return _numbered(fitted["num_columns"]), ()
    inputs = [_number_of(encoding["name"]) for encoding in fitted.get("columns", ())]
    goal, last = _number_of(target), max(inputs, default=0)
    if not goal or not all(inputs) or last < goal:
        return None, ()
    if path is not None and num_columns(path, delimiter) == last - 1:
        return _numbered(last), ()
    names = ",".join(f"'{name}'" for name in _numbered(3 if goal > 3 else 4) if name != target)
    note = (
        "The checkpoint is of an earlier version, which does not say how many columns its file had. It is assumed that "
        f"this file has them all, also '{target}', the one to predict. If that is left out, name the others: "
        f'"dataset.columns=[{names},...]".'
    )
    return None, (note,)


def _numbered(count: int) -> list[str]:
    return [f"column {i + 1}" for i in range(count)]


def _number_of(name: str) -> int:
    """The 3 of `column 3`; 0 for another name."""
    number = name.removeprefix("column ")
    return int(number) if number != name and number.isdecimal() else 0


def wanted_columns(encodings: Sequence[Encoding], keep: Sequence[str] | None) -> Wanted:
    """What is read of a file: the columns that the model needs, and those that are kept. keep: None for all."""
    if keep is None:
        return ALL
    numbers = [e["name"] for e in encodings if e["kind"] == "numeric" and "form" not in e and e["name"] not in keep]
    return Wanted({*keep, *(encoding["name"] for encoding in encodings)}, numbers)


def numeric_encodings(names: Sequence[str], mean: Sequence[float], std: Sequence[float]) -> list[Mapping[str, Any]]:
    """Encodings that standardize columns of numbers, for data sets that are fitted without a file."""
    return [
        {"name": name, "kind": "numeric", "mean": center, "std": spread, "median": center, "missing": 0}
        for name, center, spread in zip(names, mean, std, strict=True)
    ]


def require_columns(file: CsvFile, encodings: Sequence[Encoding]) -> None:
    """Raise DataError naming every column that the model needs and the file lacks."""
    absent = [str(encoding["name"]) for encoding in encodings if encoding["name"] not in file.columns]
    if absent:
        raise DataError(
            f"{file.source} lacks {'a column' if len(absent) == 1 else 'columns'} that the model was trained with: "
            f"{join_words(map(repr, absent), 8)}.{_advice(absent[0], file, encodings)} It has: "
            f"{join_words(file.columns)}."
        )


def _advice(absent: str, file: CsvFile, encodings: Sequence[Encoding]) -> str:
    """What to do about a column that a file lacks."""
    if file.has_header:
        return did_you_mean(absent, file.columns)
    names = ",".join(f"'{encoding['name']}'" for encoding in encodings[:3])
    return (
        " The file has no header line, so its columns are counted from the left. Where the column to predict was among "
        f'them and is left out now, name those that are there: "dataset.columns=[{names},...]".'
    )


def _row_problems(file: CsvFile, encodings: Sequence[Encoding]) -> dict[int, str]:
    """Row number → why the row can't be encoded, found by halving the rows until one is left."""
    try:
        encode_columns(file, encodings, file.source)
    except DataError as error:
        if len(file) == 1:
            return {file.rows[0]: str(error)}
        half = len(file) // 2
        parts = file.take(range(half)), file.take(range(half, len(file)))
        return {number: reason for part in parts for number, reason in _row_problems(part, encodings).items()}
    return {}


def _texts(chunk: CsvChunk, name: str) -> list[str]:
    """The cells of a column for all rows; empty for rows of another length."""
    cells = chunk.file.column(name, "keep").texts()
    if not chunk.problems:
        return cells
    by_row = dict(zip(chunk.file.rows, cells, strict=True))
    return [by_row.get(number, "") for number in chunk.rows]


def as_rows(records: Sequence[Mapping[str, Any]], source: str) -> CsvFile:
    """Records (name → value) as rows of texts. A value that is None or NaN is missing; so is one that is absent."""
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        columns[str(name)] = column = Column(list(map(_text, values)))
        column.was_numbers = not any(isinstance(value, str) for value in values)
    return CsvFile(source, columns, list(range(len(records))))


def _text(value: Any) -> str:
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return ""
    if isinstance(value, float | np.floating | np.datetime64) and np.isnan(value):
        return ""
    return str(value).strip()  # of a number the shortest digits of its type, as files have them
