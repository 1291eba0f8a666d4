"""What a prediction command did, as Python programs and notebooks see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptrun.evaluation.prediction_table import Table
from ptrun.reports.html_table import html_table
from ptrun.runs.prediction.file import Tally


@dataclass(frozen=True)
class Predicted:
    """The file that was written (None: standard output), its counts, and its first rows (none for arrays)."""

    output: Path | None
    tally: Tally
    first_rows: Table = field(default_factory=dict)

    def __repr__(self) -> str:
        common = sorted(self.tally.labels.items(), key=lambda item: -item[1])
        labels = "".join(f", {label} {count:,}" for label, count in common[:8])
        good = self.tally.done - self.tally.bad
        return f"Predicted({good:,} of {self.tally.done:,} inputs{labels}; file {self.output})"

    def _repr_html_(self) -> str:
        """A table of the first rows, for notebooks."""
        return html_table(self._records(), self.tally.done if self.first_rows else 0)

    def _records(self) -> Sequence[dict[str, Any]]:
        if not self.first_rows:
            return [{"inputs": self.tally.done, "without a prediction": self.tally.bad, "file": self.output}]
        rows = zip(*self.first_rows.values(), strict=True)
        return [dict(zip(self.first_rows, row, strict=True)) for row in rows]
