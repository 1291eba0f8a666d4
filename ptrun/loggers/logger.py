"""The interface of a logger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

Record = Mapping[str, Any]


class Logger(Protocol):
    """Receives the records of a run, one at the end of each epoch."""

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Called once before the first record, with the run folder and the resolved configuration."""
        ...

    def log(self, record: Record) -> None:
        """Write one record: numbers and booleans by name, among them `epoch` and `step`."""
        ...

    def close(self) -> None:
        """Called once at the end, also after an error."""
        ...
