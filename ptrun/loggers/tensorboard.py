"""Writes the records of a run, its settings and its results to TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ptrun.errors import ConfigError
from ptrun.loggers.logger import Logger, Record
from ptrun.registry import loggers

_NO_HYPERPARAMETERS = ("plots", "plugins", "label", "output_dir")


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
        self._settings: Mapping[str, Any] = {}
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge, flush_secs=flush_seconds)

    def start(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Show the configuration in TensorBoard's text tab."""
        self._settings = config
        lines = json.dumps(config, indent=2, default=str).splitlines()
        self._writer.add_text("config", "\n".join("    " + line for line in lines))

    def log(self, record: Record) -> None:
        """Add every number of `record` at its step."""
        for name, value in record.items():
            if _is_number(value) and name != "step":
                self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        self._writer.close()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Add the results on the test split, and the settings beside them in the tab of hyperparameters."""
        results = {f"test/{name}": value for name, value in summary["test"].items() if _is_number(value)}
        best = {} if summary["best_value"] is None else {f"best/{summary['monitor']}": summary["best_value"]}
        settings = dict(_flat(self._settings))
        self._writer.add_hparams(settings, {**results, **best}, run_name=".", global_step=summary["steps"])
        self._writer.close()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | float | str]]:
    """Dotted keys and values, of kinds that TensorBoard has for hyperparameters."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif key not in _NO_HYPERPARAMETERS:
            yield f"{prefix}{key}", value if isinstance(value, bool | int | float | str) else json.dumps(value)
