"""What `ptrun train` prints: the header, the final block, and the bar within an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ptrun.build.description import describe_training, next_command
from ptrun.build.run import Run
from ptrun.config.schema import yaml_text
from ptrun.engine.progress import Progress
from ptrun.engine.running_loss import RunningLoss
from ptrun.reports.evaluation import PREDICTIONS_FILE
from ptrun.runs.folder import RunDir
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_bytes, format_metric

_REDRAW_SECONDS = 0.1  # a bar drawn after each small step would slow the training down


def preparation_bar(console: Console) -> Callable[[str, int, int], None]:
    """A callback that shows long work before training: a line when it starts, then a bar."""
    last = 0.0

    def on_progress(work_name: str, done: int, total: int) -> None:
        nonlocal last
        if done == 0:
            console.note(f"{work_name[0].upper()}{work_name[1:]}.")
        if done == total:
            console.clear()
        elif time.monotonic() - last > _REDRAW_SECONDS:
            last = time.monotonic()
            console.work(done, total)

    return on_progress


def show_header(parts: Run, run_dir: RunDir, console: Console) -> None:
    """Print what is trained, on what, how, where, and every note and decision on it."""
    ctx, config, spec = parts.ctx, parts.config, parts.prepared.spec
    parameters = list(ctx.model.parameters())
    total = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    frozen = "" if trained == total else f", {trained:,} of them trained"
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in parts.splits.items())
    how = parts.prepared.data.record.get("how")
    unit = "classes" if spec.class_names else "numbers" if spec.num_outputs > 1 else "number"
    shape = "×".join(str(length) for length in spec.input_shape)
    kind = f"{spec.layout} {shape} → {spec.num_outputs} {unit}"
    console.header(
        [
            ("model", f"{config.model.name}, {total:,} parameters{frozen}"),
            ("data", f"{config.dataset.name}: {kind}; {ctx.train.describe()}"),
            ("split", f"{sizes}{f'; {how}' if how else ''}"),
            ("training", describe_training(config)),
            ("device", f"{ctx.runtime.name()}, {ctx.runtime.precision}"),
            ("folder", str(run_dir.path)),
        ],
        f"ptrun train {config.model.name} on {config.dataset.name}",
    )
    for note in parts.notes:
        console.note(note)
    for setting, requested, used in parts.decisions:
        if requested != "auto":
            console.warn(f"{setting}={yaml_text(requested)}: {used}.")


def show_result(
    parts: Run,
    progress: Progress,
    run_dir: RunDir,
    console: Console,
    document: Mapping[str, Any] | None,
    verdict: str,
) -> None:
    """Print the verdict, the best epoch, the metrics of the test split, the paths, and the next command.

    document: the results on the test split, or None for a run that was not tested.
    """
    ctx = parts.ctx
    best = "none"
    if progress.best_value is not None:
        value = format_metric(ctx.monitor, progress.best_value)
        best = f"epoch {progress.best_epoch} of {progress.epochs_begun} ({ctx.monitor} {value})"
    shares = ", ".join(f"{name} {share:.0f} %" for name, share in ctx.times.shares().items())
    spent = f"{progress.seconds:.1f} s of training, {progress.step:,} steps"
    peak = format_bytes(ctx.runtime.peak_memory_bytes())
    rows = [
        *([("verdict", verdict)] if verdict else []),
        ("best", best),
        ("time", f"{spent}: {shares}" if ctx.times.step else f"{spent}, none of them now"),
        ("memory", f"{peak} at most"),
    ]
    if progress.stopped:
        rows.append(("stopped", progress.stopped))
    if progress.skipped:
        rows.append(("skipped", f"{progress.skipped:,} steps whose loss or gradient was non-finite"))
    if progress.overflowed:
        rows.append(("left out", f"{progress.overflowed:,} steps whose gradients overflowed fp16"))
    if progress.rollbacks:
        rows.append(("rolled back", f"{progress.rollbacks} times to earlier weights, because of non-finite numbers"))
    if parts.config.plots:
        rows.append(("plots", str(run_dir.plots)))
    rows.append(("test", str(run_dir.test / PREDICTIONS_FILE) if document is not None else "not evaluated"))
    if not run_dir.last.is_file():
        console.result(
            [*rows, ("weights", "the last ones were evaluated; none are saved (checkpoint=none)")], [], document
        )
        return
    weights = run_dir.best if run_dir.best.is_file() else run_dir.last
    console.result(
        [*rows, ("weights", str(weights))], [next_command(parts.config.to_dict()["dataset"], weights)], document
    )


def epoch_columns(parts: Run) -> list[str]:
    """The metrics in the table of epochs: the losses, the monitored metric, and the first one of the task."""
    monitor = parts.ctx.monitor
    primary = "val/accuracy" if parts.prepared.spec.task == "classification" else "val/rmse"
    return list(dict.fromkeys(["train/loss", "val/loss", monitor, primary]))


def epoch_bar(console: Console) -> Callable[[int, int, RunningLoss], None]:
    """A callback that draws the bar of an epoch and the mean loss so far, at most every tenth of a second."""
    last = time.perf_counter()

    def on_step(done: int, total: int, losses: RunningLoss) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= _REDRAW_SECONDS:
            last = now
            console.progress(done, total, losses.mean_so_far)

    return on_step
