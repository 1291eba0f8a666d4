"""The interface of a logger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Record = Mapping[str, Any]


@runtime_checkable
class Logger(Protocol):
    """Receives the records of a run, one at the end of each epoch.

    A logger may also have `finish(summary)`, which is called after `close`.
    """

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Called once before the first record, with the run folder and the resolved configuration."""
        ...

    def log(self, record: Record) -> None:
        """Write one record: numbers and booleans by name, among them `epoch` and `step`."""
        ...

    def close(self) -> None:
        """Called once at the end, also after an error."""
        ...


@runtime_checkable
class FinishingLogger(Protocol):
    """A logger that also receives the results of the run."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Called once after the test, when the logger is closed already, with what summary.json holds."""
        ...


def finish(loggers: Iterable[Logger], summary: Mapping[str, Any]) -> None:
    """Give the results of a run to the loggers that receive them."""
    for logger in loggers:
        if isinstance(logger, FinishingLogger):
            logger.finish(summary)
