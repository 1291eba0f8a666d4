"""The records of a run, one for each epoch: read from and repaired in `metrics.jsonl`, formatted as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replace_text
from ptrun.loggers.logger import Record

JSONL_FILE = "metrics.jsonl"
CSV_FILE = "metrics.csv"
_END_BYTES = 16384  # of a file, in which a whole record is found


def read_records(path: Path) -> list[Record]:
    """The complete records of a JSON-lines file, in order; none for a missing file.

    Skips lines that are not a JSON object, such as a last line that a crash cut off.
    """
    if not path.is_file():
        return []
    records = map(_parse, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [record for record in records if record is not None]


def last_record(path: Path) -> Record:
    """The last complete record of a JSON-lines file, of which only the end is read; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - _END_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return next((record for line in reversed(lines) if (record := _parse(line)) is not None), {})


def read_intact(path: Path) -> list[Record]:
    """All records of a JSON-lines file. Raises ValueError for the first line that is damaged or cut off."""
    text = path.read_text(encoding="utf-8")
    records: list[Record] = []
    for number, line in enumerate(text.splitlines(), start=1):
        record = _parse(line)
        if record is None or "step" not in record:
            raise ValueError(f"line {number} is not a record. `ptrun resume` repairs a last line that was cut off.")
        records.append(record)
    if text and not text.endswith("\n"):
        raise ValueError("its last line is cut off. `ptrun resume` repairs it.")
    return records


def repair(path: Path, resume_step: int | None) -> list[Record]:
    """Reduce a file to its complete records up to `resume_step` (None: all of them), and return these."""
    if not path.exists():
        return []
    records = read_records(path)
    if resume_step is not None:
        records = [record for record in records if record.get("step", resume_step) <= resume_step]
    text = "".join(json.dumps(record) + "\n" for record in records)
    if text != path.read_text(encoding="utf-8", errors="replace"):
        replace_text(path, text, durable=True)
    return records


def column_names(records: Iterable[Record]) -> list[str]:
    """Every name in the records, in order of first appearance."""
    return list(dict.fromkeys(name for record in records for name in record))


def as_csv(records: Sequence[Record]) -> str:
    """The text of `metrics.csv` for the records of `metrics.jsonl`."""
    return csv_text(column_names(records), records, header=True)


def csv_text(columns: Sequence[str], records: Iterable[Record], *, header: bool) -> str:
    """The records as CSV lines; an empty cell is a value that a record does not have."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header and columns:
        writer.writerow(columns)
    for record in records:
        writer.writerow(_cell(record[name]) if name in record else "" for name in columns)
    return text.getvalue()


def _parse(line: str) -> dict[str, Any] | None:
    """The JSON object on a line, or None when there is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _cell(value: Any) -> Any:
    if value is None:
        return "nan"
    return str(value).lower() if isinstance(value, bool) else value
