"""What `ptrun train` shows: the header, the final block, and the bar within an epoch.

Invariant: reads the parts of a run and prints; changes and decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ptrun.build.run import Run
from ptrun.engine.progress import Progress
from ptrun.runs.folder import RunDir
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric

_REDRAW_SECONDS = 0.1


def work(console: Console) -> Callable[[str, int, int], None]:
    """Shows work that takes its time before training: a line when it begins, then a bar."""
    last = 0.0

    def tell(doing: str, done: int, total: int) -> None:
        nonlocal last
        if done == 0:
            console.note(f"{doing[0].upper()}{doing[1:]}.")
        if done == total:
            console.clear()
        elif time.monotonic() - last > _REDRAW_SECONDS:
            last = time.monotonic()
            console.work(done, total)

    return tell


def show_header(parts: Run, run_dir: RunDir, console: Console) -> None:
    """What is trained, on what, how, where, and everything that was found or decided."""
    x, config, spec = parts.experiment, parts.config, parts.prepared.spec
    parameters = list(x.model.parameters())
    total, trained = (sum(p.numel() for p in ps) for ps in (parameters, [p for p in parameters if p.requires_grad]))
    frozen = "" if trained == total else f", {trained:,} of them trained"
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in parts.splits.items())
    what = (
        f"{spec.num_outputs} classes"
        if spec.class_names
        else f"{spec.num_outputs} number{'s' if spec.num_outputs > 1 else ''}"
    )
    shape = "×".join(str(length) for length in spec.input_shape)
    lr = config.optimizer.settings.get("lr")
    console.header(
        [
            ("model", f"{config.model.name}, {total:,} parameters{frozen}"),
            ("data", f"{config.dataset.name}: {spec.layout} {shape} → {what}; {sizes}; {x.train.describe()}"),
            (
                "training",
                f"{config.loss.name}, {config.optimizer.name}{f' lr {lr:g}' if lr else ''}, scheduler {config.scheduler.name}, batches of {config.train.batch_size}, seed {config.seed}",
            ),
            ("device", f"{x.runtime.name()}, {x.runtime.precision}"),
            ("folder", str(run_dir.path)),
        ],
        f"ptrun train {config.model.name} on {config.dataset.name}",
    )
    for fact in parts.facts:
        console.note(fact)
    for setting, requested, used in parts.decisions:
        if requested != "auto":
            console.warn(f"{setting}={requested}: {used}.")


def show_result(parts: Run, progress: Progress, run_dir: RunDir, console: Console, document: Mapping[str, Any]) -> None:
    """The best epoch, the metrics of the test split, the paths, and the next command."""
    x, best = parts.experiment, run_dir.checkpoints / "best.pt"
    evaluated = (
        f"epoch {progress.best_epoch} of {progress.epoch} ({x.monitor} {format_metric(x.monitor, progress.best_value)})"
        if progress.best_value is not None
        else "none"
    )
    shares = ", ".join(f"{name} {share:.0f} %" for name, share in x.times.shares().items())
    spent = f"{progress.seconds:.1f} s of training, {progress.step:,} steps"
    peak = x.runtime.peak_memory_bytes() / 1e9
    rows = [
        ("best", evaluated),
        ("time", f"{spent}: {shares}" if x.times.step else f"{spent}, none of them now"),
        ("memory", f"{peak:.2f} GB at most"),
    ]
    if progress.stopped:
        rows.append(("stopped", progress.stopped))
    if progress.skipped:
        rows.append(("skipped", f"{progress.skipped:,} steps whose loss or gradient was no finite number"))
    if progress.rollbacks:
        rows.append(
            (
                "rolled back",
                f"{progress.rollbacks} times to earlier weights, because of numbers that were not finite",
            )
        )
    if parts.config.plots:
        rows.append(("plots", str(run_dir.plots)))
    rows.append(("test", str(run_dir.path / "test" / "predictions.csv")))
    last = run_dir.checkpoints / "last.pt"
    if not last.is_file():
        console.result(
            [*rows, ("weights", "the last ones were evaluated; none are saved (checkpoint=none)")], [], document
        )
        return
    kept = best if best.is_file() else last
    console.result([*rows, ("weights", str(kept))], [("evaluate", f"ptrun eval checkpoint={kept}")], document)


def bar(console: Console) -> Callable[[int, int], None]:
    """Redraw the bar at most every tenth of a second."""
    last = time.perf_counter()

    def on_step(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= _REDRAW_SECONDS:
            last = now
            console.progress(done, total)

    return on_step
