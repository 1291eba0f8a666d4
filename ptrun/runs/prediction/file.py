"""The file that predictions are written to: CSV, JSON lines, Parquet or a NumPy array.

Rows go to a partial file beside it, with a note of how far it is. A command that is killed and given again goes on
from there, and the finished file is the same as that of an undisturbed one.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import ConfigError, join_words
from ptrun.evaluation.prediction_table import Table, as_list
from ptrun.files.atomic import replacing
from ptrun.files.json_file import write_json
from ptrun.files.lock import lock_file
from ptrun.files.writable import make_writable
from ptrun.runs.prediction.text import csv_text

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".npy": "npy"}
STDOUT = "-"
_SYNC_SECONDS = 2.0  # between notes of how far the file is: a killed command loses that much work at most
_PARQUET_ROWS = 65_536  # in a row group


def format_of(output: str) -> str:
    """The format that the name of a file asks for. Raises ConfigError for another ending."""
    if output == STDOUT:
        return "csv"
    suffix = Path(output).suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(f"output={output}: the name of the file ends in {join_words(FORMATS)}, which is its format.")
    return FORMATS[suffix]


@dataclass
class Tally:
    """What was predicted so far; kept beside the partial file."""

    done: int = 0
    bad: int = 0
    first_problems: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    unusual: dict[str, int] = field(default_factory=dict)


class PredictionFile:
    """A file of predictions that grows chunk by chunk.

    key: what decides the content of the file; a partial file of another key is not continued.
    tally: what was done before, by an interrupted command of the same key.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self.path, self.format = path, format_of(str(path))
        self._partial = path.with_name(f".{path.name}.partial")
        self._note = path.with_name(f".{path.name}.partial.json")
        self._key = json.loads(json.dumps(key))
        self._width: tuple[int, ...] = ()  # of a row of numbers, with its dtype, for the format npy
        self._dtype = "<f4"
        self._columns: list[str] = []
        self._numeric: set[str] = set()  # columns that hold numbers
        self._last_sync = time.monotonic()
        self.tally = Tally()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, rows can be appended; how far they go is noted at the end.

        Raises ConfigError when the file is in use, ResourceError when its folder can't be written to.
        """
        make_writable(self.path.parent, "output")
        with lock_file(self._partial, f"{self.path}: another command is writing this file. Wait for it."):
            self._file: BinaryIO = self._partial.open("r+b")
            try:
                self._restore()
                yield
                self.sync()
            finally:
                self._file.close()
                if not self.tally.done:  # nothing to go on from
                    self._remove_partial()

    def append(self, table: Table, short: Collection[str] = ()) -> None:
        """Append rows of a table, all of one set of columns. short: columns of probabilities (see `csv_text`)."""
        is_first, self._columns = not self._columns, list(table)
        if self.format == "csv":
            self._file.write(csv_text(table, short, header=is_first))
            return
        columns = {name: as_list(cells) for name, cells in table.items()}
        if self.format == "parquet":
            self._numeric |= {name for name, cells in columns.items() if any(isinstance(c, int | float) for c in cells)}
        for row in zip(*columns.values(), strict=True):
            record = {name: value for name, value in zip(self._columns, row, strict=True) if value is not None}
            self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    def append_array(self, numbers: NDArray[Any]) -> None:
        """Append rows of numbers, for the format npy."""
        self._width, self._dtype = numbers.shape[1:], numbers.dtype.str
        self._file.write(np.ascontiguousarray(numbers).tobytes())

    def sync(self) -> None:
        """Put the rows on disk, then the note of how far they go."""
        self._file.flush()
        os.fsync(self._file.fileno())
        state = {
            "key": self._key,
            "bytes": self._file.tell(),
            "tally": vars(self.tally),
            "columns": self._columns,
            "numeric": sorted(self._numeric),
            "width": list(self._width),
            "dtype": self._dtype,
        }
        write_json(self._note, state)
        self._last_sync = time.monotonic()

    def finish(self) -> None:
        """Give the file its name, in its format. Call it after `writing`."""
        if self.format == "npy":
            self._write_array()
        elif self.format == "parquet":
            _write_parquet(self._partial, self.path, self._columns, self._numeric)
        else:
            self._partial.replace(self.path)
        self._remove_partial()

    def _remove_partial(self) -> None:
        for path in (self._partial, self._note):
            path.unlink(missing_ok=True)

    def sync_sometimes(self) -> None:
        """`sync`, if the last one is some time ago. Call it when `tally` counts all rows that were appended."""
        if time.monotonic() - self._last_sync >= _SYNC_SECONDS:
            self.sync()

    def _restore(self) -> None:
        """Go on where a command of the same key was interrupted; else begin with an empty file."""
        state: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            state = json.loads(self._note.read_text(encoding="utf-8"))
        size = self._partial.stat().st_size
        if state.get("key") != self._key or state.get("bytes", size + 1) > size:
            self._file.truncate(0)
            return
        self._file.truncate(state["bytes"])
        self._file.seek(state["bytes"])
        self.tally, self._columns = Tally(**state["tally"]), list(state["columns"])
        self._numeric = set(state["numeric"])
        self._width, self._dtype = tuple(state["width"]), state["dtype"]

    def _write_array(self) -> None:
        header = {"descr": self._dtype, "fortran_order": False, "shape": (self.tally.done, *self._width)}
        with replacing(self.path) as target, self._partial.open("rb") as source:
            np.lib.format.write_array_header_1_0(target, header)
            while block := source.read(2**20):
                target.write(block)


def _write_parquet(lines: Path, target: Path, columns: Sequence[str], numeric: Collection[str]) -> None:
    """Turn JSON lines into a Parquet file, some rows at a time: texts, and 64-bit floats for the numeric columns."""
    arrow, parquet = import_pyarrow()
    kinds = {name: arrow.float64() if name in numeric else arrow.string() for name in columns}
    schema = arrow.schema(list(kinds.items()))
    with replacing(target) as file, lines.open(encoding="utf-8") as source, parquet.ParquetWriter(file, schema) as out:
        while records := [json.loads(line) for line in itertools.islice(source, _PARQUET_ROWS)]:
            arrays = [arrow.array([row.get(name) for row in records], type=kinds[name]) for name in columns]
            out.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def import_pyarrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet module. Raises ConfigError that names the package to install."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            "A Parquet file is written by the package pyarrow, which is not installed: pip install pyarrow. "
            "Or choose output=NAME.csv."
        ) from error
    return pyarrow, pyarrow.parquet
