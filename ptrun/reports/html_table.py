"""A table of HTML, as notebooks show results."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any


def html_table(records: Sequence[Mapping[str, Any]], total: int = 0) -> str:
    """Records as an HTML table. total: number of records, if these are the first of more."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_shown(record.get(name)))}</td>" for name in columns) + "</tr>"
        for record in records
    )
    more = f"<p>... and {total - len(records):,} more</p>" if total > len(records) else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
