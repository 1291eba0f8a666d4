"""The run folder: its place, the names of its files, and the files that describe a run.

The names of all files of a run stand here, except those of lower floors, which this module takes over:
ptrun/checkpoint/names.py, ptrun/loggers/records.py and ptrun/reports/evaluation.py.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import secrets
import shlex
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ptrun.checkpoint.names import BEST, LAST
from ptrun.config.run_config import GROUPS
from ptrun.errors import CheckpointError, ConfigError, ResourceError
from ptrun.files import lock
from ptrun.files.atomic import remove_temporary_files, replace_text
from ptrun.files.json_file import write_json
from ptrun.loggers.records import CSV_FILE, JSONL_FILE

CONFIG = "config.yaml"  # as it was written, interpolations unresolved
RESOLVED = "resolved.yaml"  # with every decision taken
RECEIPT = "receipt.json"
STATUS = "status.json"
SUMMARY = "summary.json"
SPLITS = "splits.json"
BAD_SAMPLES = "bad_samples.json"
METRICS = JSONL_FILE
METRICS_CSV = CSV_FILE
LOG = "train.log"
DIFF = "code.diff"
CHECKPOINTS = "checkpoints"
PLOTS = "plots"
TEST = "test"  # the evaluation on the test split
JOB = "job.json"  # what a run is in its sweep
CLAIM = ".claim"  # its lock is held by the process that runs the job, from before its run begins
JOB_LOG = "job.log"  # all that the process of a job printed
SWEEP_PLAN = "sweep.json"  # in the folder of a sweep: its jobs
SWEEP_CONFIG = "multirun.yaml"  # the same of a sweep by Hydra
SWEEP_RESULTS = "results.csv"
SWEEP_PAGE = "sweep.html"
ERROR = "error.txt"  # the traceback of a job of a sweep
LATEST = "latest"  # beside the folders of the days: a link to the newest run

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, in a run of half a second
_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C takes a tenth of the time
_BEFORE_RUN = (JOB, JOB_LOG, lock.LOCK_FILE)  # what the folder of a job holds before its run begins, and its claim
_MAX_WORD = 75  # characters: three words, time and id stay below the 255 bytes that a file name may have
_SECRET = re.compile(r"(password|passwd|secret|token|api_?key)", re.IGNORECASE)


@dataclass(frozen=True)
class RunDir:
    """One run folder."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoint files."""
        return self.path / CHECKPOINTS

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.checkpoints / BEST

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.checkpoints / LAST

    @property
    def plots(self) -> Path:
        """Folder of the pictures."""
        return self.path / PLOTS

    @property
    def test(self) -> Path:
        """Folder of the results on the test split."""
        return self.path / TEST

    @property
    def metrics(self) -> Path:
        """The records of all epochs as JSON lines."""
        return self.path / METRICS

    @property
    def bad_samples(self) -> Path:
        """The training samples that could not be read, with the reason for each."""
        return self.path / BAD_SAMPLES

    @property
    def diff(self) -> Path:
        """The uncommitted changes of the code that the run began with."""
        return self.path / DIFF

    @property
    def log(self) -> Path:
        """What was printed, as plain text."""
        return self.path / LOG

    def write_config(self, as_written: Mapping[str, Any], resolved: Mapping[str, Any]) -> None:
        """Write `config.yaml` as written and `resolved.yaml` with every decision taken, without secrets."""
        for name, values in (
            (CONFIG, as_written),
            (RESOLVED, redact(unresolved_environment(as_written, resolved))),
        ):
            replace_text(self.path / name, yaml.dump(dict(values), Dumper=_DUMPER, sort_keys=False, allow_unicode=True))

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration. Raises CheckpointError when the file is missing or damaged."""
        path = self.path / RESOLVED
        values: Any = None
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            values = yaml.load(path.read_text(encoding="utf-8"), Loader=_YAML)
        required = [group for group in GROUPS if group != "split"]  # older runs have no group `split`
        if not isinstance(values, dict) or not all(isinstance(values.get(group), dict) for group in required):
            raise CheckpointError(
                f"{path}: holds no configuration, so that this run can't be continued. Start a new one."
            )
        return values

    @property
    def resume_command(self) -> str:
        """What to type to continue the run, with the files of the user's own components."""
        plugins: Sequence[str] = ()
        with contextlib.suppress(CheckpointError):
            plugins = self.read_config().get("plugins") or ()
        named = [f"plugins=[{','.join(plugins)}]"] if plugins else []
        return shlex.join(["ptrun", "resume", str(self.path), *named])

    def read_json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file; empty when there is none. Raises CheckpointError when it is damaged."""
        path = self.path / name
        try:
            values: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError as error:
            raise CheckpointError(f"{path}: is damaged: it is not JSON ({error}). Remove it or put it back.") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path}: is damaged: it does not hold a JSON object. Remove it or put it back.")
        return values

    def write_json(self, name: str, values: Mapping[str, Any]) -> Path:
        """Replace a JSON file; a non-finite number becomes null."""
        path = self.path / name
        write_json(path, values)
        return path

    def is_run(self) -> bool:
        """Whether the folder is that of a training run."""
        return (self.path / STATUS).is_file()

    def is_sweep(self) -> bool:
        """Whether the folder is that of a sweep, with a folder for each of its runs."""
        return (self.path / SWEEP_PLAN).is_file() or (self.path / SWEEP_CONFIG).is_file()

    def is_done(self) -> bool:
        """Whether the run ended by itself. Raises CheckpointError when its status is damaged."""
        return bool(self.read_json(STATUS).get("state") == "done")

    def start_over(self) -> None:
        """Remove what a run has written, so that its job starts again from nothing."""
        for entry in self.path.iterdir():
            if _is_from_before(entry):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        remove_temporary_files(self.path)

    def write_status(self, state: str, **details: Any) -> None:
        """Write `status.json`: running, done, failed, pruned or interrupted, with process, host, time and reason."""
        self.write_json(
            STATUS,
            {
                "state": state,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "time": now().isoformat(timespec="seconds"),
                **details,
            },
        )


def create_run_dir(output_dir: str, words: Sequence[str]) -> RunDir:
    """Make a new folder `<output_dir>/<date>/<time>-<words>-<id>`. Raises ResourceError when it can't be made.

    words: up to three. Only the beginning of a long one is used: a label made of all overrides can have any length.
    """
    started = now()
    base = Path(output_dir).expanduser()
    label = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", word)[:_MAX_WORD] for word in words if word)
    while True:
        # The id keeps runs apart that start in the same second, as those of a cluster do.
        path = base / f"{started:%Y-%m-%d}" / f"{started:%H-%M-%S}-{label}-{secrets.token_hex(2)}"
        with contextlib.suppress(FileExistsError):
            _make(path)
            return RunDir(path)


def create_run_dir_at(path: Path) -> RunDir:
    """Make the run folder at a given path, which must hold no run. Raises ConfigError when it is in use."""
    if path.is_dir() and not all(map(_is_from_before, path.iterdir())):
        raise ConfigError(f"{path}: this folder already holds a run. Choose another one.")
    path.mkdir(parents=True, exist_ok=True)
    return RunDir(path)


def point_latest(output_dir: str, run: RunDir) -> None:
    """Make `<output_dir>/latest` a link to the run, or to the sweep that it belongs to.

    Does nothing where the system has no symbolic links, where `latest` is the user's own folder, and for a run that
    lies elsewhere: the link is a convenience.
    """
    base = Path(output_dir).expanduser().resolve()
    temporary = base / f".{LATEST}-{secrets.token_hex(4)}"
    with contextlib.suppress(OSError, ValueError):
        temporary.symlink_to(Path(*run.path.resolve().relative_to(base).parts[:2]), target_is_directory=True)
        temporary.replace(base / LATEST)
    with contextlib.suppress(OSError):
        temporary.unlink()


def redact(values: Any) -> Any:
    """Replace the texts under keys that look like secrets."""
    if isinstance(values, Mapping):
        return {
            key: "<hidden>" if _SECRET.search(str(key)) and isinstance(value, str) else redact(value)
            for key, value in values.items()
        }
    if isinstance(values, list | tuple):
        return [redact(value) for value in values]
    return values


def redact_command(command: str) -> str:
    """A command line without the values of settings that look like secrets."""
    words = []
    for word in shlex.split(command):
        key, sign, value = word.partition("=")
        words.append(f"{key}=<hidden>" if sign and _SECRET.search(key) else key + sign + value)
    return shlex.join(words)


def now() -> datetime.datetime:
    """The local time with its offset from UTC."""
    return datetime.datetime.now().astimezone()


def unresolved_environment(as_written: Any, resolved: Any) -> Any:
    """The resolved values, except that a reference to an environment variable, which may be a secret, stays one."""
    if isinstance(as_written, str) and "oc.env:" in as_written:
        return as_written
    if isinstance(as_written, Mapping) and isinstance(resolved, Mapping):
        return {key: unresolved_environment(as_written.get(key), value) for key, value in resolved.items()}
    return resolved


def _is_from_before(entry: Path) -> bool:
    return entry.name in _BEFORE_RUN or entry.name.startswith(CLAIM)


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise
    except OSError as error:
        raise ResourceError(
            f"{path}: the run folder can't be made ({error.strerror}). Choose another output_dir."
        ) from error
