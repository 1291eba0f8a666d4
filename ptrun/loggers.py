"""Where the records of a run are written: always to files, on request also to TensorBoard.

Invariant: a record that `log` returned from survives a crash of the process; `metrics.csv` can always be made again
from `metrics.jsonl`; after a resume no record stands twice.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ptrun.errors import ConfigError
from ptrun.registry import loggers

Record = Mapping[str, Any]


class Logger(Protocol):
    """Receives the records of a run, one at the end of each epoch."""

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Called once before the first record, with the run folder and the resolved configuration."""
        ...

    def log(self, record: Record) -> None:
        """Write one record: plain numbers and booleans by name, among them `epoch` and `step`."""
        ...

    def close(self) -> None:
        """Called once at the end, also after an error."""
        ...


@loggers.register
def files(*, run_dir: Path, resume_step: int | None = None) -> Logger:
    """Logger to `metrics.jsonl` and `metrics.csv` in `run_dir`.

    With `resume_step`, records of later steps are dropped first: they are about to be written again.
    """
    return FileLogger(run_dir, resume_step)


@loggers.register
def tensorboard(*, run_dir: Path, resume_step: int | None = None, flush_seconds: int = 10) -> Logger:
    """Logger of every number as a TensorBoard scalar over steps, in `run_dir`/tensorboard.

    After a resume TensorBoard hides what an earlier process wrote past `resume_step`. Raises ConfigError when the
    package is not installed.
    """
    return TensorBoardLogger(run_dir / "tensorboard", resume_step, flush_seconds)


class FileLogger:
    """Appends each record to a JSON-lines file and a CSV file.

    A value that is no finite number is `null` in JSON, which knows no NaN, and `nan` in the CSV file; there, an empty
    cell is a value that the record does not have.
    """

    def __init__(self, run_dir: Path, resume_step: int | None = None) -> None:
        self._jsonl = run_dir / "metrics.jsonl"
        self._csv = run_dir / "metrics.csv"
        run_dir.mkdir(parents=True, exist_ok=True)
        records = _mend(self._jsonl, resume_step)
        self._columns = _union(records)
        if records or self._csv.exists():
            _replace(self._csv, _csv_text(self._columns, records, header=True))
        self._jsonl_file = self._jsonl.open("a", encoding="utf-8")
        self._csv_file = self._csv.open("a", encoding="utf-8", newline="")

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Nothing: the configuration has files of its own."""

    def log(self, record: Record) -> None:
        """Append `record` to both files; a new name adds a column to the CSV file."""
        plain = {key: _finite(value) for key, value in record.items()}
        self._jsonl_file.write(json.dumps(plain, allow_nan=False) + "\n")
        self._jsonl_file.flush()
        columns = _union([dict.fromkeys(self._columns), plain])
        if columns != self._columns:
            self._widen(columns)
            return
        self._csv_file.write(_csv_text(self._columns, [plain], header=False))
        self._csv_file.flush()

    def close(self) -> None:
        """Close both files."""
        self._jsonl_file.close()
        self._csv_file.close()

    def _widen(self, columns: list[str]) -> None:
        """Write the CSV file anew from the JSON lines, the newest record included."""
        self._columns = columns
        self._csv_file.close()  # before the replacement: Windows can't replace an open file
        _replace(self._csv, _csv_text(columns, _read(self._jsonl), header=True))
        self._csv_file = self._csv.open("a", encoding="utf-8", newline="")


class TensorBoardLogger:
    """Writes scalars with torch's SummaryWriter (https://docs.pytorch.org/docs/stable/tensorboard.html)."""

    def __init__(self, folder: Path, resume_step: int | None, flush_seconds: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as missing:
            raise ConfigError(
                "logger=tensorboard needs the package 'tensorboard', which is not installed. Install it with: "
                'pip install "ptrun[tensorboard]"'
            ) from missing
        purge = None if resume_step is None else resume_step + 1
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge, flush_secs=flush_seconds)

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Show the configuration in TensorBoard's text tab."""
        lines = json.dumps(config, indent=2, default=str).splitlines()
        self._writer.add_text("config", "\n".join("    " + line for line in lines))

    def log(self, record: Record) -> None:
        """Add every number of `record` at its step."""
        for name, value in record.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name != "step":
                self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(path: Path) -> list[Record]:
    """The whole records of a JSON-lines file; a line that a crash cut off is left out."""
    records: list[Record] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _mend(path: Path, resume_step: int | None) -> list[Record]:
    """Rewrite the file with its whole records up to `resume_step` (all for None), if that changes it."""
    if not path.exists():
        return []
    records = [
        record for record in _read(path) if resume_step is None or record.get("step", resume_step) <= resume_step
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    if text != path.read_text(encoding="utf-8", errors="replace"):
        _replace(path, text)
    return records


def _union(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def as_csv(records: Sequence[Record]) -> str:
    """The text of `metrics.csv` for the records of `metrics.jsonl`."""
    return _csv_text(_union(records), records, header=True)


def _csv_text(columns: Sequence[str], records: Iterable[Record], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header and columns:
        writer.writerow(columns)
    for record in records:
        writer.writerow(_cell(record[name]) if name in record else "" for name in columns)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "nan" if value is None else str(value).lower() if isinstance(value, bool) else value


def _replace(path: Path, text: str) -> None:
    """Put `text` in the place of the file: a crash leaves the old one or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
