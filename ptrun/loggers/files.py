"""Where the records of a run are written: always to files, on request also to TensorBoard.

Invariant: a record that `log` returned from survives a crash of the process; `metrics.csv` can always be made again
from `metrics.jsonl`; after a resume no record stands twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replace_text
from ptrun.loggers.logger import Logger, Record
from ptrun.loggers.records import column_names, csv_text, finite_or_none, mend, whole_records
from ptrun.registry import loggers


@loggers.register
def files(*, run_dir: Path, resume_step: int | None = None) -> Logger:
    """Logger to `metrics.jsonl` and `metrics.csv` in `run_dir`.

    With `resume_step`, records of later steps are dropped first: they are about to be written again.
    """
    return FileLogger(run_dir, resume_step)


class FileLogger:
    """Appends each record to a JSON-lines file and a CSV file.

    A value that is no finite number is `null` in JSON, which knows no NaN, and `nan` in the CSV file; there, an empty
    cell is a value that the record does not have.
    """

    def __init__(self, run_dir: Path, resume_step: int | None = None) -> None:
        self._jsonl = run_dir / "metrics.jsonl"
        self._csv = run_dir / "metrics.csv"
        run_dir.mkdir(parents=True, exist_ok=True)
        records = mend(self._jsonl, resume_step)
        self._columns = column_names(records)
        if records or self._csv.exists():
            replace_text(self._csv, csv_text(self._columns, records, header=True), durable=True)
        self._jsonl_file = self._jsonl.open("a", encoding="utf-8")
        self._csv_file = self._csv.open("a", encoding="utf-8", newline="")

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Nothing: the configuration has files of its own."""

    def log(self, record: Record) -> None:
        """Append `record` to both files; a new name adds a column to the CSV file."""
        plain = {key: finite_or_none(value) for key, value in record.items()}
        self._jsonl_file.write(json.dumps(plain, allow_nan=False) + "\n")
        self._jsonl_file.flush()
        columns = column_names([dict.fromkeys(self._columns), plain])
        if columns != self._columns:
            self._widen(columns)
            return
        self._csv_file.write(csv_text(self._columns, [plain], header=False))
        self._csv_file.flush()

    def close(self) -> None:
        """Close both files."""
        self._jsonl_file.close()
        self._csv_file.close()

    def _widen(self, columns: list[str]) -> None:
        """Write the CSV file anew from the JSON lines, the newest record included."""
        self._columns = columns
        self._csv_file.close()  # before the replacement: Windows can't replace an open file
        replace_text(self._csv, csv_text(columns, whole_records(self._jsonl), header=True), durable=True)
        self._csv_file = self._csv.open("a", encoding="utf-8", newline="")
