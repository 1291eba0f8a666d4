"""`ptrun train`: run folder → build → loop → best weights on the test split → summary, plots, result.

Invariant: re-entrant (a sweep calls it many times in one process), and the run folder says how it
ended, whatever happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun import plugins
from ptrun.build.evaluation import make_predictions, metric_settings
from ptrun.build.run import Run, build, build_loggers
from ptrun.checkpoint import state, store
from ptrun.checkpoint.saver import Saver
from ptrun.config.auto import Decision, resolve_auto
from ptrun.config.run_config import RunConfig
from ptrun.engine.context import Hooks
from ptrun.engine.evaluate import predict
from ptrun.engine.loop import fit
from ptrun.engine.progress import EpochReport, Progress
from ptrun.errors import Interrupted
from ptrun.evaluation import results
from ptrun.files import lock
from ptrun.process.signals import STOPPED_BY_KEYBOARD, interrupt_raised, stop_signals
from ptrun.process.startup import keep_freed_memory, without_compiler
from ptrun.reports import curves as training_plots
from ptrun.reports import evaluation as evaluation_plots
from ptrun.runs import display
from ptrun.runs.continuation import ResumeState, restore_run
from ptrun.runs.folder import (
    BAD_SAMPLES,
    RECEIPT,
    SPLITS,
    SUMMARY,
    RunDir,
    create_run_dir,
    create_run_dir_at,
    point_latest,
)
from ptrun.runs.git import uncommitted_changes
from ptrun.runs.receipt import make_receipt
from ptrun.runs.summary import TrainResult, decision_records, summarize
from ptrun.terminal.console import Console, error_lines


@dataclass(frozen=True)
class TrainRequest:
    """A checked configuration, as it was asked for, and where to put the run."""

    config: RunConfig
    as_written: Mapping[str, Any]
    overrides: Sequence[str]
    command: Sequence[str]
    folders: tuple[Path, ...] = ()
    run_dir: Path | None = None
    quiet: bool = False
    continuation: ResumeState | None = None


def run(request: TrainRequest) -> TrainResult:
    """Train, evaluate, and write everything. Raises PtrunError for what ends the run early."""
    keep_freed_memory()
    config, chosen = resolve_auto(request.config, request.folders)
    words = (config.label or "", config.model.name, config.dataset.name)
    run_dir = _folder(request, config, words)
    compiler = nullcontext() if config.device.settings["compile"] == "model" else without_compiler()
    with lock.lock(run_dir.path), run_dir.log.open("a", encoding="utf-8") as log, compiler, interrupt_raised():
        console = Console(request.quiet, log)
        run_dir.write_status("running")
        point_latest(config.output_dir, run_dir, over_another=False)
        try:
            with plugins.attribute_plugin_errors(config.model.name):
                result = _train(request, config, chosen, run_dir, console)
        except BaseException as error:
            console.clear()
            ended = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
            reason = str(error) or type(error).__name__
            with suppress(OSError):  # on a full disk; what is told is the first mishap
                code = STOPPED_BY_KEYBOARD if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)
                run_dir.write_status(ended, reason=reason, exit_code=code)
                print("\n".join(error_lines(reason)), file=log, flush=True)
            raise
        run_dir.write_status("done", exit_code=0)
        return result


def _folder(request: TrainRequest, config: RunConfig, words: Sequence[str]) -> RunDir:
    if request.run_dir is None:
        return create_run_dir(config.output_dir, words)
    return RunDir(request.run_dir) if request.continuation else create_run_dir_at(request.run_dir)


def _train(
    request: TrainRequest, config: RunConfig, chosen: Sequence[Decision], run_dir: RunDir, console: Console
) -> TrainResult:
    receipt = _receipt(request, run_dir)
    run_dir.write_config(request.as_written, config.to_dict())
    run_dir.write_json(RECEIPT, receipt)
    parts = build(config, request.folders, chosen, display.work(console))
    run_dir.write_config(request.as_written, parts.config.to_dict())
    data = {name: split.fingerprint() for name, split in parts.splits.items()}
    run_dir.write_json(RECEIPT, {**receipt, "data": data, "decisions": decision_records(parts)})
    run_dir.write_json(SPLITS, parts.prepared.data.record)
    display.show_header(parts, run_dir, console)
    progress = Progress()
    if request.continuation is not None:
        restore_run(request.continuation, parts, progress, run_dir, console, data)
    point_latest(config.output_dir, run_dir)
    _fit(parts, progress, run_dir, console, data, resumed=request.continuation is not None)
    document = _evaluate_best(parts, progress, run_dir)
    summary = summarize(parts, progress, document, len(run_dir.read_json(BAD_SAMPLES)))
    run_dir.write_json(SUMMARY, summary)
    if config.plots:
        training_plots.draw_training(run_dir.metrics, run_dir.plots)
        evaluation_plots.draw_evaluation(run_dir.test, run_dir.plots)
    display.show_result(parts, progress, run_dir, console, document)
    return TrainResult(run_dir.path, summary, progress.best_value)


def _receipt(request: TrainRequest, run_dir: RunDir) -> dict[str, Any]:
    """The receipt of a new run; of a continued one the first receipt, with a line for each time it went on."""
    receipt = make_receipt(request.command, request.overrides)
    diff = uncommitted_changes()
    if request.continuation is None:
        if diff:
            run_dir.diff.write_bytes(diff)
        return receipt
    first = run_dir.read_json(RECEIPT)
    again = {key: receipt[key] for key in ("command", "started", "ptrun", "python", "packages", "hardware", "git")}
    again["changes"] = list(request.continuation.changes)
    return {**first, "continued": [*first.get("continued", []), again]}


def _fit(
    parts: Run, progress: Progress, run_dir: RunDir, console: Console, data: Mapping[str, str], *, resumed: bool
) -> None:
    """Run the loop with loggers, checkpoints and the live display around it."""
    x, config = parts.experiment, parts.config
    loggers = build_loggers(config, run_dir.path, progress.step if resumed else None)
    saver = _saver(parts, run_dir, data)

    def warn_once() -> None:
        name = x.monitor.removeprefix("val/")
        if progress.epoch == 1 and name in parts.undefined:
            reason = parts.undefined[name]
            console.warn(
                f"{x.monitor} is undefined ({reason}), so no epoch can be the best. Choose another train.monitor."
            )

    def on_epoch_end(report: EpochReport) -> None:
        for logger in loggers:
            logger.log(report.record)
        console.epoch(report.record)
        warn_once()
        _note_return_point(parts, progress, "every_epochs", progress.epoch)
        with x.times.spent_on("checkpoint"):
            saver.after_epoch(progress, report)

    for logger in loggers:
        logger.start(run_dir.path, config.to_dict())
    metric = [] if x.monitor == "val/loss" else [x.monitor]
    primary = [f"val/{name}" for name in ("accuracy", "rmse") if f"val/{name}" not in metric and _is_shown(parts, name)]
    console.epoch_table_start(x.epochs, ["train/loss", "val/loss", *metric, *primary], progress.epoch)
    try:
        with stop_signals() as stopped, x.times.spent_on("whole"), saver:
            watch = Hooks(
                display.bar(console),
                lambda: bool(stopped),
                saver.is_due,
                lambda: _save_within_epoch(parts, progress, saver),
                lambda: state.roll_back_weights(x),
                lambda parts: _tell_split(parts, x.train.sampler.batch_size, run_dir, console),
            )
            if config.train.on_nonfinite == "rollback" and progress.step == 0:
                state.mark_rollback_point(x, progress)
                saver.save(progress)
            fit(x, progress, watch, on_epoch_end)
            saver.wait()
            if stopped and (progress.batch or progress.epoch < x.epochs):
                path = saver.save(progress)
                saver.wait()
                where = f" Its state is in {path}. Continue it with: ptrun resume {run_dir.path}" if path else ""
                raise Interrupted(f"Stopped by {stopped[0]} at step {progress.step}.{where}")
    finally:
        console.clear()
        for logger in loggers:
            logger.close()
        _list_bad_samples(parts, run_dir, console)


def _save_within_epoch(parts: Run, progress: Progress, saver: Saver) -> None:
    _note_return_point(parts, progress, "every_steps", progress.step)
    saver.save(progress)


def _note_return_point(parts: Run, progress: Progress, setting: str, done: int) -> None:
    """Note what rollback returns to at regular checkpoints only, written or not: those that a clock or a signal asks for are at any step."""
    if parts.config.train.on_nonfinite != "rollback":
        return
    every = parts.config.checkpoint.settings[setting]
    if every is not None and done % every == 0:
        state.mark_rollback_point(parts.experiment, progress)


def _list_bad_samples(parts: Run, run_dir: RunDir, console: Console) -> None:
    """Say which training samples could not be read and were left out, and list them in the run folder."""
    train = parts.experiment.train
    found = {train.split.name(i): why for i, why in sorted(train.bad_samples.items())}
    found = {**run_dir.read_json(BAD_SAMPLES), **found}  # of the parts of a continued run
    if not found:
        return
    run_dir.write_json(BAD_SAMPLES, found)
    console.warn(
        f"{len(found):,} of {len(train.split):,} training samples could not be read and were left out; "
        f"{run_dir.bad_samples} lists them."
    )


def _tell_split(parts: int, batch_size: int, run_dir: RunDir, console: Console) -> None:
    """Say and record that batches are computed in parts from here on."""
    used = f"computed in {parts} parts of {-(-batch_size // parts)}, because memory ran out; the optimizer sees the whole batch"
    console.warn(f"train.batch_size={batch_size}: {used}.")
    receipt = run_dir.read_json(RECEIPT)
    decision = {"setting": "train.batch_size", "requested": str(batch_size), "used": used}
    run_dir.write_json(RECEIPT, {**receipt, "decisions": [*receipt.get("decisions", []), decision]})


def _saver(parts: Run, run_dir: RunDir, data: Mapping[str, str]) -> Saver:
    config, prepared = parts.config, parts.prepared
    settings = None if config.checkpoint.name == "none" else config.checkpoint.settings
    constant = {
        "config": config.to_dict(),
        "spec": prepared.spec.to_dict(),
        "fitted": prepared.fitted(),
        "data": dict(data),
    }
    return Saver(parts.experiment, run_dir.checkpoints, settings, constant)


def _is_shown(parts: Run, name: str) -> bool:
    return (name == "accuracy") == (parts.prepared.spec.task == "classification")


def _evaluate_best(parts: Run, progress: Progress, run_dir: RunDir) -> dict[str, Any]:
    """Put the best weights into the model and evaluate them on the test split."""
    x, config = parts.experiment, parts.config
    model, best = x.evaluated_model, run_dir.best
    if best.is_file():
        model.load_state_dict(state.evaluated_weights(store.load(best)))
    outputs = predict(x.views(model), x.loss, parts.test, x.runtime)
    predicted = make_predictions(config, parts.prepared.spec, outputs)
    return results.write(
        run_dir.test, "test", metric_settings(config), predicted, outputs.loss, parts.prepared.data, parts.test
    )
