"""`ptrun resume` and `ptrun train resume=...`: continue a run in its own folder, from its newest good checkpoint.

Invariant: never from scratch silently: a damaged checkpoint is named and passed over, and when none is
good the command ends with an error; a changed setting that would change the numbers is refused by name.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.checkpoint import store
from ptrun.config import check as configuration
from ptrun.config.run_config import GROUPS, RunConfig
from ptrun.config.stored import apply_changes, refuse_changes, require_plugins
from ptrun.errors import CheckpointError, ConfigError
from ptrun.plugins import REGISTRIES
from ptrun.runs import session
from ptrun.runs.continuation import ResumeState
from ptrun.runs.find import find_run, unfinished
from ptrun.runs.folder import RunDir
from ptrun.runs.summary import TrainResult


@dataclass(frozen=True)
class ResumeRequest:
    """Which run to continue (None: the newest one that is not finished), and with which changes (dotted key → value)."""

    run: str | None
    changes: Mapping[str, Any]
    allowed: Sequence[str]
    command: Sequence[str]
    folders: tuple[Path, ...] = ()
    plugins: Sequence[str] = ()
    output_dir: str = "outputs"
    quiet: bool = False


def run(request: ResumeRequest) -> TrainResult:
    """Continue a run. Raises ConfigError, CheckpointError, and what training raises."""
    folder = find_run(request.run, request.output_dir)
    found = newest_good(folder)
    stored = stored_config(folder, found)
    values = copy.deepcopy(stored)
    values["plugins"] = list(request.plugins)
    apply_changes(values, request.changes, (*GROUPS, "train", "metrics", "seed", "plots", "label"), request.folders)
    require_plugins(values, REGISTRIES, request.folders)
    config = configuration.check(values, request.folders, REGISTRIES)
    return _proceed(folder, found, stored, config, request)


def automatic(config: RunConfig, request: ResumeRequest) -> TrainResult | None:
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
    folder: Path, found: Found | None, stored: Mapping[str, Any], config: RunConfig, request: ResumeRequest
) -> TrainResult:
    """Train on from what was found; from the beginning, in the same folder, when the run never saved anything."""
    changes = tuple(refuse_changes(stored, config, request.allowed))
    continuation = (
        ResumeState(found.path, found.saved, found.notes, changes) if found else ResumeState(None, None, (), changes)
    )
    return session.run(
        session.TrainRequest(
            config, config.to_dict(), (), request.command, request.folders, folder, request.quiet, continuation
        )
    )


@dataclass(frozen=True)
class Found:
    """A good checkpoint, and what was passed over on the way to it."""

    path: Path
    saved: Mapping[str, Any]
    notes: tuple[str, ...]


def newest_good(folder: Path) -> Found | None:
    """The newest checkpoint that is whole; None when the run never saved one. Raises CheckpointError when all are damaged."""
    try:
        return Found(*store.load_newest(RunDir(folder).checkpoints))
    except FileNotFoundError:
        return None


def stored_config(folder: Path, found: Found | None) -> dict[str, Any]:
    """The configuration of a run: from its checkpoint, or as it was written at the start."""
    if found is not None:
        return dict(found.saved["config"])
    return RunDir(folder).read_config()
