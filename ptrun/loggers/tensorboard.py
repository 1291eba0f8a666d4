"""Writes the records of a run to TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun.errors import ConfigError
from ptrun.loggers.logger import Logger, Record
from ptrun.registry import loggers


@loggers.register
def tensorboard(*, run_dir: Path, resume_step: int | None = None, flush_seconds: int = 10) -> Logger:
    """Logger that writes every number as a TensorBoard scalar over steps, in `run_dir`/tensorboard.

    With `resume_step`, TensorBoard hides what an earlier process wrote after that step. Raises ConfigError when the
    package is not installed.
    """
    return TensorBoardLogger(run_dir / "tensorboard", resume_step, flush_seconds)


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
        """Write what is buffered, and close the file."""
        self._writer.close()
