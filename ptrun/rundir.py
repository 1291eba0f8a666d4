"""The run folder: a unique, locked place with a receipt of what was asked, on what, and how it ended.

Invariant: names of files in a run folder stand only here; every JSON and YAML file is replaced atomically.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import math
import os
import platform
import re
import secrets
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import yaml

from ptrun import __version__
from ptrun.errors import CheckpointError, ConfigError, ResourceError
from ptrun.settings import GROUPS

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pillow", "hydra-core", "omegaconf")
_TEMPORARY = ".tmp-"
_LOCKED: set[TextIO] = set()  # lock files that this process holds
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
            _replace(self.path / name, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))

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
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, json.dumps(_finite(values), indent=2, ensure_ascii=False) + "\n")
        return path

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        for pattern in (f"{_TEMPORARY}*", ".*.partial"):
            for path in self.path.rglob(pattern):
                path.unlink(missing_ok=True)

    def write_status(self, state: str, **details: Any) -> None:
        """`status.json`: running, done, failed or interrupted, with process, host, time and reason."""
        self.write_json(
            "status.json",
            {
                "state": state,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "time": _now().isoformat(timespec="seconds"),
                **details,
            },
        )


def create(output_dir: str, words: Sequence[str]) -> RunDir:
    """Make a new folder `<output_dir>/<date>/<time>-<words>-<id>`. Raises ResourceError when it can't be made."""
    now = _now()
    base = Path(output_dir).expanduser()
    label = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", word) for word in words if word)
    while True:
        path = base / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-{label}-{secrets.token_hex(2)}"
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


def create_at(path: Path) -> RunDir:
    """Make the run folder at a given path, which must be new or empty. Raises ConfigError when it is in use."""
    if path.is_dir() and any(path.iterdir()):
        raise ConfigError(f"{path}: this folder already holds a run. Choose another one.")
    path.mkdir(parents=True, exist_ok=True)
    return RunDir(path)


@contextlib.contextmanager
def lock(run: RunDir, *, note: bool = True) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however it ends. Raises ConfigError when it is held."""
    file = (run.path / ".lock").open("a+")
    _LOCKED.add(file)
    try:
        _lock_file(file.fileno())
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise ConfigError(
            f"{run.path}: this run folder is in use by {holder}. Wait for it, or start a run of your own."
        ) from None
    if note:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    try:
        yield
    finally:
        _LOCKED.discard(file)
        file.close()


def _let_go() -> None:
    """A worker process that outlives a killed run must not hold its lock."""
    for file in _LOCKED:
        file.close()
    _LOCKED.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def is_locked(run: RunDir) -> bool:
    """Whether a process holds the folder now."""
    try:
        with lock(run, note=False):
            return False
    except ConfigError:
        return True


def receipt(command: Sequence[str], overrides: Sequence[str]) -> dict[str, Any]:
    """What was run, where, and on which code."""
    return {
        "command": shlex.join(command),
        "overrides": list(overrides),
        "started": _now().isoformat(timespec="seconds"),
        "working_folder": str(Path.cwd()),
        "ptrun": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "hardware": {
            "machine": platform.machine(),
            "system": platform.platform(),
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
        },
        "git": _git(),
        "code": _code_digest(),
    }


def _code_digest() -> str:
    """Hash of the package's own files, which say more than its version where it is being worked on."""
    digest, package = hashlib.blake2b(digest_size=8), Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def working_diff() -> str | None:
    """Uncommitted changes of the git checkout that the working folder is in; None when there are none."""
    return _run_git("diff", "--no-ext-diff", "--no-textconv", "HEAD") or None


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


def _replace(path: Path, text: str) -> None:
    """Write a file under another name first, so that a kill leaves the old one or the new one."""
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _lock_file(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def _git() -> dict[str, Any] | None:
    commit = _run_git("rev-parse", "HEAD")
    if not commit:
        return None
    return {
        "commit": commit,
        "branch": _run_git("rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(_run_git("status", "--porcelain", "--untracked-files=no")),
    }


def _run_git(*arguments: str) -> str:
    """Output of a git command that runs no program named in the environment or in the repository's settings; "" on failure."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.pager=cat", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


def command_line() -> list[str]:
    """The command as it was typed, with the program's short name."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]
