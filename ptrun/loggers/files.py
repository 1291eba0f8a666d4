"""The logger that every run has: `metrics.jsonl` and `metrics.csv` in the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replace_text
from ptrun.files.json_file import nonfinite_to_none
from ptrun.loggers.logger import Logger, Record
from ptrun.loggers.records import CSV_FILE, JSONL_FILE, as_csv, column_names, csv_text, read_records, repair
from ptrun.registry import loggers


@loggers.register
def files(*, run_dir: Path, resume_step: int | None = None) -> Logger:
    """Logger to `metrics.jsonl` and `metrics.csv` in `run_dir`.

    With `resume_step`, records of later steps are dropped first, because the resumed run writes them again.
    """
    return FileLogger(run_dir, resume_step)


class FileLogger:
    """Appends each record to a JSON-lines file and a CSV file.

    A record is handed to the operating system before `log` returns, so that it survives a kill of the process. The
    JSON-lines file is the source: the CSV file is made again from it whenever the two could differ.
    A non-finite value is `null` in JSON, which has no NaN, and `nan` in the CSV file.
    """

    def __init__(self, run_dir: Path, resume_step: int | None = None) -> None:
        self._jsonl = run_dir / JSONL_FILE
        self._csv = run_dir / CSV_FILE
        run_dir.mkdir(parents=True, exist_ok=True)
        records = repair(self._jsonl, resume_step)
        self._columns = column_names(records)
        if records or self._csv.exists():
            replace_text(self._csv, as_csv(records), durable=True)
        self._jsonl_file = self._jsonl.open("a", encoding="utf-8")
        self._csv_file = self._csv.open("a", encoding="utf-8", newline="")

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Do nothing: the run folder holds the configuration already."""

    def log(self, record: Record) -> None:
        """Append `record` to both files; a new name adds a column to the CSV file."""
        plain = nonfinite_to_none(record)
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
        """Write the CSV file again from the JSON lines, which hold the newest record already."""
        self._columns = columns
        self._csv_file.close()  # before the replacement: Windows can't replace an open file
        replace_text(self._csv, csv_text(columns, read_records(self._jsonl), header=True), durable=True)
        self._csv_file = self._csv.open("a", encoding="utf-8", newline="")
