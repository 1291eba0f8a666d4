"""`ptrun resume` and `ptrun train resume=...`: continues a run in its own folder, from its newest undamaged checkpoint.

A run never starts over without a word: a damaged checkpoint is reported and passed over, and when all are damaged the
command ends with an error. A changed setting that would change the numbers is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.checkpoint import store
from ptrun.config.run_config import RunConfig
from ptrun.config.stored import CHANGEABLE_WHEN_RESUMING, as_old_as, changed_config, refuse_changes
from ptrun.engine.progress import Standing
from ptrun.errors import CheckpointError, ConfigError
from ptrun.files.claim import holder
from ptrun.plugins import REGISTRIES
from ptrun.runs import session
from ptrun.runs.continuation import ResumeState
from ptrun.runs.find import find_run, unfinished_runs
from ptrun.runs.folder import CLAIM, RunDir
from ptrun.runs.summary import TrainResult


@dataclass(frozen=True)
class ResumeRequest:
    """Which run to continue (None: the newest one that is not finished), and with which changes (dotted key → value).

    allowed: keys that may change although the numbers change with them.
    """

    run: str | None
    changes: Mapping[str, Any]
    allowed: Sequence[str]
    command: Sequence[str]
    folders: tuple[Path, ...] = ()
    plugins: Sequence[str] = ()
    output_dir: str = "outputs"
    quiet: bool = False
    test: bool = True
    why_prune: Callable[[Standing], str] = lambda standing: ""


@dataclass(frozen=True)
class UndamagedCheckpoint:
    """A checkpoint that can be used, and notes on newer ones that were passed over."""

    path: Path
    saved: Mapping[str, Any]
    notes: tuple[str, ...]


def run(request: ResumeRequest) -> TrainResult:
    """Continue a run. Raises ConfigError, CheckpointError, and what training raises."""
    folder = find_run(request.run, request.output_dir)
    if machine := holder(folder / CLAIM):
        raise ConfigError(f"{folder}: this run is in use by its sweep, on {machine}. Wait for it.")
    checkpoint = newest_good(folder)
    stored = stored_config(folder, checkpoint)
    values = {**stored, "plugins": list(request.plugins)}
    config = changed_config(values, request.changes, CHANGEABLE_WHEN_RESUMING, REGISTRIES, request.folders)
    refuse_shorter(config, checkpoint)
    return _continue(folder, checkpoint, stored, config, request)


def automatic(config: RunConfig, request: ResumeRequest) -> TrainResult | None:
    """Continue the newest unfinished run of this configuration; None when there is none."""
    for folder in unfinished_runs(config.output_dir):
        try:
            checkpoint = newest_good(folder)
        except CheckpointError:
            if _has_other_config(folder, config, request.allowed):
                continue
            raise
        stored = stored_config(folder, checkpoint)
        requested = as_old_as(config, stored)
        try:
            refuse_changes(stored, requested, request.allowed, REGISTRIES)
            refuse_shorter(requested, checkpoint)
        except ConfigError:
            continue
        return _continue(folder, checkpoint, stored, requested, request)
    return None


def continue_in(folder: Path, config: RunConfig, request: ResumeRequest) -> TrainResult:
    """Continue the run in a folder with the configuration that it was started with, given once more.

    Raises ConfigError, CheckpointError, and what training raises.
    """
    checkpoint = newest_good(folder)
    stored = stored_config(folder, checkpoint)
    requested = as_old_as(config, stored)
    refuse_shorter(requested, checkpoint)
    return _continue(folder, checkpoint, stored, requested, request)


def newest_good(folder: Path) -> UndamagedCheckpoint | None:
    """The newest undamaged checkpoint; None when the run never saved one.

    Raises CheckpointError when all are damaged.
    """
    try:
        return UndamagedCheckpoint(*store.load_newest(RunDir(folder).checkpoints))
    except FileNotFoundError:
        return None


def stored_config(folder: Path, checkpoint: UndamagedCheckpoint | None) -> dict[str, Any]:
    """The configuration of a run: from its checkpoint, or as it was written at the start."""
    if checkpoint is not None:
        return dict(checkpoint.saved["config"])
    return RunDir(folder).read_config()


def refuse_shorter(config: RunConfig, checkpoint: UndamagedCheckpoint | None) -> None:
    """Raise ConfigError when a run is to end before the point that it has reached: no step can be taken back."""
    if checkpoint is None:
        return
    train, progress = config.train, checkpoint.saved["progress"]
    epochs = progress["epoch"] + (progress["batch"] > 0)
    # train.epochs has no effect where train.max_steps is set.
    if train.max_steps is None and isinstance(train.epochs, int) and train.epochs < epochs:
        begun = "done" if progress["batch"] == 0 else "done or begun"
        raise ConfigError(
            f"train.epochs: {train.epochs} is less than the {epochs} epochs that this run has {begun}, and training "
            f"can't be undone. Give train.epochs={epochs} or more."
        )
    if train.max_steps is not None and train.max_steps < progress["step"]:
        raise ConfigError(
            f"train.max_steps: {train.max_steps} is less than the {progress['step']} steps that this run has taken, "
            f"and training can't be undone. Give train.max_steps={progress['step']} or more."
        )


def _has_other_config(folder: Path, config: RunConfig, allowed: Sequence[str]) -> bool:
    """Whether a run whose checkpoints are all damaged was one of another configuration, by the file in its folder."""
    try:
        stored = RunDir(folder).read_config()
        refuse_changes(stored, as_old_as(config, stored), allowed, REGISTRIES)
    except ConfigError:
        return True
    return False


def _continue(
    folder: Path,
    checkpoint: UndamagedCheckpoint | None,
    stored: Mapping[str, Any],
    config: RunConfig,
    request: ResumeRequest,
) -> TrainResult:
    """Train on from the checkpoint; from the beginning, in the same folder, when the run never saved one."""
    changes = tuple(refuse_changes(stored, config, request.allowed, REGISTRIES))
    resume_state = (
        ResumeState(checkpoint.path, checkpoint.saved, checkpoint.notes, changes)
        if checkpoint
        else ResumeState(None, None, (), changes)
    )
    return session.run(
        session.TrainRequest(
            config,
            config.to_dict(),
            (),
            request.command,
            request.folders,
            folder,
            request.quiet,
            resume_state,
            request.test,
            request.why_prune,
        )
    )
