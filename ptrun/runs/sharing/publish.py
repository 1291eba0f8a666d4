"""`ptrun publish`: a checkpoint to give away, with the weights and what inference needs, and a model card.

The optimizer and every random state are left out. The run is only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.checkpoint import store
from ptrun.checkpoint.state import evaluated_weights
from ptrun.config.stored import without_local_settings
from ptrun.errors import ConfigError
from ptrun.files.atomic import replace_text
from ptrun.runs.description import ABOUT, about_run, describe, run_around
from ptrun.runs.find import find_checkpoint
from ptrun.runs.folder import redact
from ptrun.runs.sharing.model_card import model_card, without_folders
from ptrun.terminal.console import Console

_KEPT = ("spec", "fitted", "data", "progress", "versions", "device", "threads", "interval")
_FILE, _CARD = "model.pt", "README.md"  # in a folder


@dataclass(frozen=True)
class PublishRequest:
    """conf/publish.yaml has meanings."""

    checkpoint: str
    to: str
    overwrite: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Published:
    """The files that were written."""

    path: Path
    card: Path


def run(request: PublishRequest) -> Published:
    """Write the checkpoint and the card. Raises ConfigError for files that exist, CheckpointError, ResourceError."""
    path, notes = find_checkpoint(request.checkpoint)
    content = store.load(path)
    target = _target(request, path)
    about = about_run(path, content)
    if about.get("command"):
        about["command"] = without_folders(about["command"])
    store.write(target.path, published_state(content, about))
    replace_text(target.card, model_card(describe(str(target.path)), about, target.path.name))
    console = Console(request.quiet)
    written = [("from", str(path)), ("checkpoint", str(target.path)), ("model card", str(target.card))]
    console.header(written, "Published")
    for note in notes:
        console.note(note)
    if not about.get("test"):
        why = "another checkpoint of this run was tested" if about else "the checkpoint lies outside of its run folder"
        if about and not about.get("tested_epoch"):
            why = f"the run was not tested. `ptrun eval checkpoint={path}` does it"
        console.note(f"The card has no test results, because {why}.")
    return target


def published_state(content: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """What a published checkpoint holds: the weights that are evaluated, and what preparing inputs for them needs."""
    return {
        "model": {name: tensor.clone() for name, tensor in evaluated_weights(content).items()},
        "ema": None,
        "config": redact(without_local_settings(content["config"])),
        **{key: content[key] for key in _KEPT if key in content},
        ABOUT: dict(about),
    }


def _target(request: PublishRequest, source: Path) -> Published:
    """Where the files go. Raises ConfigError when they exist, or belong to the run."""
    to = Path(request.to).expanduser()
    target = Published(to, to.with_suffix(".md")) if to.suffix == ".pt" else Published(to / _FILE, to / _CARD)
    run_dir = run_around(source)
    if run_dir is not None and target.path.resolve().is_relative_to(run_dir.path):
        raise ConfigError(f"to: {to} is in the folder of the run, which stays as it is. Choose a place outside of it.")
    if target.path.resolve() == source.resolve():
        raise ConfigError(f"to: {to} is the checkpoint itself. Choose another name.")
    existing = [str(path) for path in (target.path, target.card) if path.exists()]
    if existing and not request.overwrite:
        raise ConfigError(f"to: {' and '.join(existing)} exists already. Choose another name, or add overwrite=true.")
    return target
