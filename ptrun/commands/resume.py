"""`ptrun resume` and `ptrun train resume=...`: continue a run in its own folder, from its newest good checkpoint.

Invariant: never from scratch silently: a damaged checkpoint is named and passed over, and when none is
good the command ends with an error; a changed setting that would change the numbers is refused by name.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun import checkpoint, rundir
from ptrun import config as configuration
from ptrun.changes import apply_changes, require_plugins
from ptrun.commands import train
from ptrun.commands.train import Continuation, TrainResult
from ptrun.errors import CheckpointError, ConfigError
from ptrun.plugins import REGISTRIES
from ptrun.rundir import RunDir
from ptrun.settings import GROUPS, RunConfig
from ptrun.sweeps.table import refuse_sweep

# What may differ between the halves of a run: none of these changes what one step computes.
HARMLESS = (
    "checkpoint",
    "dataset.cache",
    "device.index",
    "device.name",
    "device.threads",
    "label",
    "logger",
    "metrics",
    "output_dir",
    "plots",
    "plugins",
    "train.epochs",
    "train.eval_batch_size",
    "train.max_steps",
    "train.num_workers",
    "train.on_nonfinite",
    "train.on_oom",
    "train.patience_epochs",
    "train.val_every_epochs",
)


@dataclass(frozen=True)
class Request:
    """Which run to continue (None: the newest one that is not finished), and with which changes (dotted key → value)."""

    run: str | None
    changes: Mapping[str, Any]
    allowed: Sequence[str]
    command: Sequence[str]
    folders: tuple[Path, ...] = ()
    plugins: Sequence[str] = ()
    output_dir: str = "outputs"
    quiet: bool = False


def run(request: Request) -> TrainResult:
    """Continue a run. Raises ConfigError, CheckpointError, and what training raises."""
    folder = find(request.run, request.output_dir)
    found = newest_good(folder)
    stored = stored_config(folder, found)
    values = copy.deepcopy(stored)
    values["plugins"] = list(request.plugins)
    apply_changes(values, request.changes, (*GROUPS, "train", "metrics", "seed", "plots", "label"), request.folders)
    require_plugins(values, REGISTRIES, request.folders)
    config = configuration.check(values, request.folders, REGISTRIES)
    return _proceed(folder, found, stored, config, request)


def automatic(config: RunConfig, request: Request) -> TrainResult | None:
    """Continue the newest unfinished run of this configuration; None when there is none."""
    for folder in unfinished(config.output_dir):
        try:
            found = newest_good(folder)
        except CheckpointError:
            if _was_another(folder, config, request.allowed):
                continue
            raise
        stored = stored_config(folder, found)
        try:
            refuse_changes(stored, config, request.allowed)
        except ConfigError:
            continue
        return _proceed(folder, found, stored, config, request)
    return None


def _was_another(folder: Path, config: RunConfig, allowed: Sequence[str]) -> bool:
    """Whether a run whose checkpoints are all damaged was one of another configuration, by the file in its folder."""
    try:
        refuse_changes(RunDir(folder).read_config(), config, allowed)
    except ConfigError:
        return True
    return False


def _proceed(
    folder: Path, found: Found | None, stored: Mapping[str, Any], config: RunConfig, request: Request
) -> TrainResult:
    """Train on from what was found; from the beginning, in the same folder, when the run never saved anything."""
    changes = tuple(refuse_changes(stored, config, request.allowed))
    continuation = (
        Continuation(found.path, found.saved, found.notes, changes) if found else Continuation(None, None, (), changes)
    )
    return train.run(
        train.Request(
            config, config.to_dict(), (), request.command, request.folders, folder, request.quiet, continuation
        )
    )


@dataclass(frozen=True)
class Found:
    """A good checkpoint, and what was passed over on the way to it."""

    path: Path
    saved: Mapping[str, Any]
    notes: tuple[str, ...]


def find(given: str | None, output_dir: str) -> Path:
    """The run folder that a user means: a run folder, a checkpoint in it, or the newest unfinished one. Raises CheckpointError."""
    if given is None:
        newest = next(unfinished(output_dir), None)
        if newest is None:
            hint = (
                "Name a run to continue it: ptrun resume RUN train.epochs=40."
                if Path(output_dir).expanduser().exists()
                else "Nothing was trained here yet: `ptrun train` starts a run."
            )
            raise CheckpointError(f"{Path(output_dir).resolve()}: no run there is unfinished. {hint}")
        return newest
    path = Path(given).expanduser().resolve()
    folder = path.parent.parent if path.is_file() else path
    if not path.exists() and path.name == "latest":
        raise checkpoint.absent(Path(given))
    refuse_sweep(folder)
    if not (folder / "status.json").is_file():
        gone = "" if path.exists() else " There is no such file or folder."
        raise CheckpointError(f"{path}: this is no run folder, nor a checkpoint in one.{gone}")
    return folder


def unfinished(output_dir: str) -> Iterator[Path]:
    """Folders of training runs that are neither done nor still running, newest first."""
    folders = {path.parent.resolve() for path in Path(output_dir).expanduser().glob("*/*/status.json")}
    for folder in sorted(folders, key=lambda path: (path / "status.json").stat().st_mtime, reverse=True):
        if (folder / "resolved.yaml").is_file() and not _is_done(folder) and not rundir.is_locked(RunDir(folder)):
            yield folder


def _is_done(folder: Path) -> bool:
    """A run whose status can't be read is taken for unfinished: continuing one that is done does it no harm."""
    try:
        return bool(RunDir(folder).read_json("status.json").get("state") == "done")
    except CheckpointError:
        return False


def newest_good(folder: Path) -> Found | None:
    """The newest checkpoint that is whole; None when the run never saved one. Raises CheckpointError when all are damaged."""
    try:
        return Found(*checkpoint.load_newest(RunDir(folder).checkpoints))
    except FileNotFoundError:
        return None


def stored_config(folder: Path, found: Found | None) -> dict[str, Any]:
    """The configuration of a run: from its checkpoint, or as it was written at the start."""
    if found is not None:
        return dict(found.saved["config"])
    return RunDir(folder).read_config()


def refuse_changes(stored: Mapping[str, Any], config: RunConfig, allowed: Sequence[str]) -> list[str]:
    """Say which harmless settings change. Raises ConfigError naming those that would change the numbers."""
    changes = list(differences(stored, config.to_dict()))
    refused = [
        f"{key}: the run was started with {before!r}, now it is {now!r}; that would make another run of it. "
        f"Start a new run, or insist with --allow-change {key}."
        for key, before, now in changes
        if not key.startswith(HARMLESS) and key not in allowed
    ]
    if refused:
        raise ConfigError(refused)
    return [
        f"{key}: {before!r} until now, {now!r} from here on.{_consequence(key, config)}" for key, before, now in changes
    ]


def differences(stored: Any, now: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys whose values differ; an `auto` of now agrees with whatever it was decided to be."""
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        if now.get("name") == "auto":
            return
        for key in [*stored, *(key for key in now if key not in stored)]:
            yield from differences(stored.get(key), now.get(key), f"{where}.{key}" if where else str(key))
    elif stored != now and now != "auto":
        yield where, stored, now


def _consequence(key: str, config: RunConfig) -> str:
    if key not in ("train.epochs", "train.max_steps"):
        return ""
    name = config.scheduler.name
    if "total_epochs" in REGISTRIES["scheduler"].keywords(name):
        return " The learning-rate schedule is stretched to the new length from here on."
    return f" The schedule '{name}' does not depend on the length."
