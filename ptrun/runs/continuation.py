"""What a run continues from, and how its state is put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.build.run import Run, requires_equal_bits
from ptrun.checkpoint import state, store
from ptrun.engine.context import TrainContext
from ptrun.engine.loop import early_stop_reason, is_over
from ptrun.engine.progress import Progress
from ptrun.errors import ConfigError
from ptrun.optim.parameter_groups import main_param_group
from ptrun.runs.folder import RunDir
from ptrun.terminal.console import Console


@dataclass(frozen=True)
class ResumeState:
    """A checkpoint to continue from.

    path, saved: the file and its state; None when the run never saved one.
    passed_over: sentences about newer checkpoints that are damaged.
    changes: sentences about settings that change from here on.
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
    """Put the saved state back, and report what may change the numbers.

    data: the fingerprint of each part of the data, as it is now.
    Raises ConfigError when train.deterministic=strict and something differs, CheckpointError when weights do not fit.
    """
    run_dir.clean()
    for note in (*continuation.passed_over, *continuation.changes):
        console.note(note)
    if continuation.saved is None:
        console.warn("This run never saved a checkpoint: it starts again from the beginning, in its own folder.")
        return
    ctx, saved = parts.ctx, continuation.saved
    differences = state.environment_differences(saved, data, ctx.runtime.kind())
    if differences and requires_equal_bits(parts.config):
        advice = (
            "train.deterministic=strict goes on only where the bits are the same. Insist with "
            "train.deterministic=true --allow-change train.deterministic."
        )
        raise ConfigError([*differences, advice])
    for difference in differences:
        console.warn(difference)
    state.restore(ctx, progress, saved)
    _note_learning_rate(parts, saved, console)
    if continuation.path is not None:
        store.update_pointers(continuation.path, best=0 < progress.best_step == progress.step)
    progress.stopped = early_stop_reason(ctx, progress)
    if progress.before_end is not None and not is_over(ctx, progress):
        progress.forget_end()
        store.point_best(run_dir.checkpoints, progress.best_step)
    console.note(_what_is_left(ctx, progress, continuation.path))


def _what_is_left(ctx: TrainContext, progress: Progress, path: Path | None) -> str:
    if not is_over(ctx, progress):
        return f"Continues from {path}: epoch {progress.epoch + 1}, step {progress.step}."
    tested = "The best weights are tested again."
    if progress.stopped:
        return (
            f"Nothing is left to train: the run ended after epoch {progress.epoch} ({progress.stopped}). {tested} "
            "To train on, give a larger train.patience_epochs, or null."
        )
    done = f"{progress.step} steps" if progress.batch else f"{progress.epoch} epochs"
    return f"Nothing is left to train: {done} are done. {tested}"


def _note_learning_rate(parts: Run, saved: Mapping[str, Any], console: Console) -> None:
    """Note a learning rate that is not the saved one: another length stretches the schedule."""
    optimizer = parts.ctx.optimizer
    group = main_param_group(optimizer)
    before, now = saved["optimizer"]["param_groups"][group]["lr"], optimizer.param_groups[group]["lr"]
    if before != now:
        console.note(f"The learning rate is {now:g} from here on; as the run was started it would be {before:g}.")
