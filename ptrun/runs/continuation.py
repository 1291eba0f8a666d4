"""What a run continues from, and how its state is put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.build.run import Run, requires_equal_bits
from ptrun.checkpoint import state, store
from ptrun.engine.progress import Progress
from ptrun.errors import ConfigError
from ptrun.optim.parameter_groups import main_param_group
from ptrun.runs.folder import RunDir
from ptrun.terminal.console import Console


@dataclass(frozen=True)
class ResumeState:
    """Where a run continues from.

    path, saved: a checkpoint file and its state; None when the run never saved one.
    passed_over: notes on newer checkpoints that are damaged.
    changes: notes on settings that change.
    """

    path: Path | None
    saved: Mapping[str, Any] | None
    passed_over: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def restore_run(
    continuation: ResumeState,
    parts: Run,
    progress: Progress,
    run_dir: RunDir,
    console: Console,
    data: Mapping[str, str],
) -> None:
    """Put the saved state back, and say everything that touches the promise of equal bits."""
    run_dir.clean()
    for note in (*continuation.passed_over, *continuation.changes):
        console.note(note)
    saved = continuation.saved
    if saved is None:
        console.warn("This run never saved a checkpoint: it starts again from the beginning, in its own folder.")
        return
    x = parts.ctx
    environment_differences = state.environment_differences(saved, data, x.runtime.kind())
    if environment_differences and requires_equal_bits(parts.config):
        advice = (
            "train.deterministic=strict goes on only where the bits are the same. "
            "Insist with train.deterministic=true --allow-change train.deterministic."
        )
        raise ConfigError([*environment_differences, advice])
    for warning in environment_differences:
        console.warn(warning)
    state.restore(x, progress, saved)
    shown = main_param_group(x.optimizer)
    before, now = (groups[shown]["lr"] for groups in (saved["optimizer"]["param_groups"], x.optimizer.param_groups))
    if before != now:
        console.note(f"The learning rate is {now:g} from here on; as the run was started it would be {before:g}.")
    if continuation.path is not None:
        store.update_pointers(continuation.path, best=0 < progress.best_epoch == progress.epoch and progress.batch == 0)
    if progress.epoch < x.epochs:
        console.note(f"Continues from {continuation.path}: epoch {progress.epoch + 1}, step {progress.step}.")
    else:
        console.note(f"Nothing is left to train: {progress.epoch} epochs are done. The best weights are tested again.")
    progress.stopped = ""
