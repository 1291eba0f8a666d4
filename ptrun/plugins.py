"""Import the user's own Python files, so that their components are registered.

Invariant: files are named on the command line or in the user's own configuration, never by a checkpoint.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun import registry
from ptrun.errors import ConfigError, PtrunError

REGISTRIES: Mapping[str, registry.Registry[Any]] = {
    "model": registry.models,
    "dataset": registry.datasets,
    "step": registry.steps,
    "loss": registry.losses,
    "optimizer": registry.optimizers,
    "scheduler": registry.schedulers,
    "metric": registry.metrics,
    "logger": registry.loggers,
}


def load(files: Sequence[str]) -> None:
    """Run each file once as a module. Raises ConfigError naming file, line and reason."""
    for file in files:
        path = Path(file).expanduser().resolve()
        name = f"ptrun_plugin_{path.stem}_{abs(hash(str(path))):x}"
        if name in sys.modules:
            continue
        if not path.is_file():
            raise ConfigError(f"plugins: there is no file {path}.")
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"plugins: {path} is no Python file.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except PtrunError:
            del sys.modules[name]
            raise
        except Exception as error:
            del sys.modules[name]
            line = next(
                (f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == str(path)), None
            )
            raise ConfigError(
                f"plugins: {path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}."
            ) from error
