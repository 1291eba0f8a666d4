"""The records of a run as JSON lines and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replace_text
from ptrun.loggers.logger import Record


def finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def whole_records(path: Path) -> list[Record]:
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


def mend(path: Path, resume_step: int | None) -> list[Record]:
    """Rewrite the file with its whole records up to `resume_step` (all for None), if that changes it."""
    if not path.exists():
        return []
    records = [
        record
        for record in whole_records(path)
        if resume_step is None or record.get("step", resume_step) <= resume_step
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    if text != path.read_text(encoding="utf-8", errors="replace"):
        replace_text(path, text, durable=True)
    return records


def column_names(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def as_csv(records: Sequence[Record]) -> str:
    """The text of `metrics.csv` for the records of `metrics.jsonl`."""
    return csv_text(column_names(records), records, header=True)


def csv_text(columns: Sequence[str], records: Iterable[Record], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header and columns:
        writer.writerow(columns)
    for record in records:
        writer.writerow(_cell(record[name]) if name in record else "" for name in columns)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "nan" if value is None else str(value).lower() if isinstance(value, bool) else value
