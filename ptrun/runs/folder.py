"""The run folder: a unique, locked place with a receipt of what was asked, on what, and how it ended.

Invariant: names of files in a run folder stand only here; every JSON and YAML file is replaced atomically.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ptrun.config.run_config import GROUPS
from ptrun.errors import CheckpointError, ConfigError, ResourceError
from ptrun.files.atomic import remove_temporary_files, replace_text
from ptrun.files.json_file import write_json

_SECRET = re.compile(r"(password|passwd|secret|token|api_?key)", re.IGNORECASE)


@dataclass(frozen=True)
class RunDir:
    """Paths of one run folder."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoint files."""
        return self.path / "checkpoints"

    @property
    def plots(self) -> Path:
        """Folder of the pictures."""
        return self.path / "plots"

    @property
    def log(self) -> Path:
        """What was printed, as plain text."""
        return self.path / "train.log"

    def write_config(self, asked: Mapping[str, Any], resolved: Mapping[str, Any]) -> None:
        """`config.yaml` as asked (interpolations unresolved), `resolved.yaml` with every decision taken."""
        for name, values in (
            ("config.yaml", asked),
            ("resolved.yaml", redact(_unresolved_environment(asked, resolved))),
        ):
            replace_text(self.path / name, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))

    def read_config(self) -> dict[str, Any]:
        """The configuration as it was decided at the start. Raises CheckpointError when the file is damaged."""
        path = self.path / "resolved.yaml"
        values: Any = None
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not all(isinstance(values.get(group), dict) for group in GROUPS):
            raise CheckpointError(
                f"{path}: holds no configuration, so that this run can't be continued. Start a new one."
            )
        return values

    def read_json(self, name: str) -> dict[str, Any]:
        """One JSON file; empty when there is none. Raises CheckpointError when it is damaged."""
        path = self.path / name
        try:
            values: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError as error:
            raise CheckpointError(f"{path}: is damaged: it is no JSON ({error}). Remove it or put it back.") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path}: is damaged: it holds no JSON object. Remove it or put it back.")
        return values

    def write_json(self, name: str, values: Mapping[str, Any]) -> Path:
        """Write one JSON file atomically; a number that is not finite becomes null."""
        path = self.path / name
        write_json(path, values)
        return path

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        remove_temporary_files(self.path)

    def write_status(self, state: str, **details: Any) -> None:
        """`status.json`: running, done, failed or interrupted, with process, host, time and reason."""
        self.write_json(
            "status.json",
            {
                "state": state,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "time": now().isoformat(timespec="seconds"),
                **details,
            },
        )


def create_run_dir(output_dir: str, words: Sequence[str]) -> RunDir:
    """Make a new folder `<output_dir>/<date>/<time>-<words>-<id>`. Raises ResourceError when it can't be made."""
    started = now()
    base = Path(output_dir).expanduser()
    label = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", word) for word in words if word)
    while True:
        path = base / f"{started:%Y-%m-%d}" / f"{started:%H-%M-%S}-{label}-{secrets.token_hex(2)}"
        with contextlib.suppress(FileExistsError):
            _make(path)
            break
    return RunDir(path)


def point_latest(output_dir: str, run: RunDir, *, over_another: bool = True) -> None:
    """Let `<output_dir>/latest` name the run, or the sweep that it belongs to.

    over_another: also when it names another one now. It is a convenience: where the system has no symbolic links, or
    it is a folder of the user's, or the run lies elsewhere, it is left as it is.
    """
    base = Path(output_dir).expanduser().resolve()
    temporary = base / f".latest-{secrets.token_hex(4)}"
    with contextlib.suppress(OSError, ValueError):
        if over_another or not (base / "latest").exists():
            temporary.symlink_to(Path(*run.path.resolve().relative_to(base).parts[:2]), target_is_directory=True)
            temporary.replace(base / "latest")
    with contextlib.suppress(OSError):
        temporary.unlink()


def create_run_dir_at(path: Path) -> RunDir:
    """Make the run folder at a given path, which must be new or empty. Raises ConfigError when it is in use."""
    if path.is_dir() and any(path.iterdir()):
        raise ConfigError(f"{path}: this folder already holds a run. Choose another one.")
    path.mkdir(parents=True, exist_ok=True)
    return RunDir(path)


def _unresolved_environment(asked: Any, resolved: Any) -> Any:
    """The resolved values, except that one taken from an environment variable stays the reference to it."""
    if isinstance(asked, str) and "oc.env:" in asked:
        return asked
    if isinstance(asked, Mapping) and isinstance(resolved, Mapping):
        return {key: _unresolved_environment(asked.get(key), value) for key, value in resolved.items()}
    return resolved


def redact(values: Any) -> Any:
    """Replace the values of keys that look like secrets."""
    if isinstance(values, Mapping):
        return {
            key: "<hidden>" if _SECRET.search(str(key)) and isinstance(value, str) else redact(value)
            for key, value in values.items()
        }
    if isinstance(values, list | tuple):
        return [redact(value) for value in values]
    return values


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise
    except OSError as error:
        raise ResourceError(
            f"{path}: the run folder can't be made ({error.strerror}). Choose another output_dir."
        ) from error


def now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()
