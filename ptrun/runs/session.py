"""One training run: folder, receipt, parts, loop, test of the best weights, summary, pictures.

It can be called many times in one process, as a sweep does. The run folder says how the run ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ptrun.build.auto import resolve_before_data
from ptrun.build.checkpoints import build_saver
from ptrun.build.evaluation import make_predictions, metric_settings
from ptrun.build.loggers import build_loggers
from ptrun.build.run import Run, build
from ptrun.checkpoint import state, store
from ptrun.checkpoint.saver import Saver
from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.engine.evaluate import predict
from ptrun.engine.hooks import Hooks
from ptrun.engine.loop import fit, is_over
from ptrun.engine.progress import EpochReport, Progress, Standing
from ptrun.errors import Interrupted, Pruned, PtrunError
from ptrun.evaluation import results
from ptrun.loggers.logger import Logger, finish
from ptrun.process.signals import StopSignals, stop_signals
from ptrun.process.startup import keep_freed_memory
from ptrun.reports import curves as training_plots
from ptrun.reports import evaluation as evaluation_plots
from ptrun.runs import display
from ptrun.runs.continuation import ResumeState, restore_run
from ptrun.runs.ending import open_run
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
from ptrun.runs.preload import Preloader, with_preloading
from ptrun.runs.receipt import make_receipt
from ptrun.runs.start_weights import weights_record, with_weights_file
from ptrun.runs.summary import TrainResult, decision_records, summarize
from ptrun.terminal.console import Console


@dataclass(frozen=True)
class TrainRequest:
    """A checked configuration, as it was written, and where to put the run.

    run_dir: None for a new folder below the output folder.
    continuation: what the run continues from, or None.
    test: whether to evaluate the best weights on the test split.
    why_prune: asked after each validation: why the run ends there, because others are better, or "".
    """

    config: RunConfig
    as_written: Mapping[str, Any]
    overrides: Sequence[str]
    command: Sequence[str]
    folders: tuple[Path, ...] = ()
    run_dir: Path | None = None
    quiet: bool = False
    continuation: ResumeState | None = None
    test: bool = True
    why_prune: Callable[[Standing], str] = lambda standing: ""


def run(request: TrainRequest) -> TrainResult:
    """Train, test the best weights, and write everything. Raises PtrunError for what ends the run early."""
    keep_freed_memory()
    with _opened(request) as (run_dir, config, decisions, stop, console):
        receipt = _start_receipt(request, run_dir)
        run_dir.write_config(request.as_written, config.to_dict())
        run_dir.write_json(RECEIPT, receipt)
        restoring = request.continuation is not None and request.continuation.saved is not None
        parts = build(config, request.folders, decisions, display.preparation_bar(console), restoring=restoring)
        run_dir.write_config(request.as_written, parts.config.to_dict())
        data = {name: split.fingerprint() for name, split in parts.splits.items()}
        receipt = {**receipt, "data": data, "decisions": decision_records(parts)}
        run_dir.write_json(RECEIPT, receipt if restoring else {**receipt, **weights_record(config)})
        run_dir.write_json(SPLITS, parts.prepared.data.record)
        display.show_header(parts, run_dir, console)
        progress = Progress()
        if request.continuation is not None:
            restore_run(request.continuation, parts, progress, run_dir, console, data)
        resume_step = progress.recorded_step if request.continuation is not None else None
        preloader = Preloader(parts.config, forks=parts.ctx.train.num_workers > 0)
        loggers = build_loggers(parts.config, run_dir.path, resume_step)
        with _training(parts, progress, run_dir, console, stop, data, loggers) as hooks:
            hooks = replace(hooks, why_prune=request.why_prune)
            fit(parts.ctx, progress, with_preloading(hooks, preloader))
        preloader.wait_for_metrics()
        document = None
        if request.test and not progress.pruned:
            with _results_kept(parts, progress, run_dir):
                document = _test_best(parts, run_dir)
        summary = summarize(parts, progress, run_dir, document)
        run_dir.write_json(SUMMARY, summary)
        finish(loggers, summary)
        if progress.pruned:
            preloader.wait()
            raise Pruned(progress.stopped)
        display.show_result(parts, progress, run_dir, console, document, summary["verdict"])
        preloader.wait()
        if config.plots:  # after the result, which need not wait for them
            training_plots.draw_training(run_dir.metrics, run_dir.plots)
            if document is not None:
                evaluation_plots.draw_evaluation(run_dir.test, run_dir.plots)
        return TrainResult(run_dir.path, summary, progress.best_value)


@contextmanager
def _opened(
    request: TrainRequest,
) -> Iterator[tuple[RunDir, RunConfig, Sequence[Decision], StopSignals, Console]]:
    """The context of a run: handles stop signals, holds the folder, and records in it how the run ended."""
    with stop_signals() as stop:
        config = request.config if request.continuation else with_weights_file(request.config)
        config, decisions = resolve_before_data(config, request.folders)
        run_dir = _make_run_dir(request, config)
        with open_run(run_dir, config, stop, quiet=request.quiet) as console:
            yield run_dir, config, decisions, stop, console


def _make_run_dir(request: TrainRequest, config: RunConfig) -> RunDir:
    if request.run_dir is None:
        return create_run_dir(config.output_dir, (config.label or "", config.model.name, config.dataset.name))
    return RunDir(request.run_dir) if request.continuation else create_run_dir_at(request.run_dir)


def _start_receipt(request: TrainRequest, run_dir: RunDir) -> dict[str, Any]:
    """The receipt of a new run; for a continued one the first receipt, with an entry for each continuation."""
    receipt = make_receipt(request.command, request.overrides)
    if request.continuation is None:
        diff = uncommitted_changes()
        if diff:
            run_dir.diff.write_bytes(diff)
        return receipt
    first = run_dir.read_json(RECEIPT)
    entry = {key: receipt[key] for key in ("command", "started", "ptrun", "python", "packages", "hardware", "git")}
    entry["changes"] = list(request.continuation.changes)
    return {**first, "continued": [*first.get("continued", []), entry]}


@contextmanager
def _training(
    parts: Run,
    progress: Progress,
    run_dir: RunDir,
    console: Console,
    stop: StopSignals,
    data: Mapping[str, str],
    loggers: Sequence[Logger],
) -> Iterator[Hooks]:
    """Around the loop: loggers, checkpoints, signals and the live display. Raises Interrupted after a signal."""
    ctx, config = parts.ctx, parts.config
    saver = build_saver(parts, run_dir.checkpoints, data)
    for logger in loggers:
        logger.start(run_dir.path, config.to_dict())
    point_latest(config.output_dir, run_dir)  # nothing is refused from here on
    console.epoch_table_start(ctx.epochs, display.epoch_columns(parts), progress.epoch)
    try:
        with stop.only_noted(), ctx.times.spent_on("whole"), saver:
            if ctx.rollback is not None and progress.step == 0:
                state.mark_rollback_point(ctx, progress)
                saver.save(progress)
            yield Hooks(
                on_batch=display.epoch_bar(console),
                on_epoch_end=partial(_end_epoch, parts, progress, saver, loggers, console),
                should_stop=lambda: bool(stop.received),
                is_save_due=saver.is_due,
                save=partial(_save_within_epoch, parts, progress, saver),
                roll_back=partial(state.roll_back_weights, ctx),
                on_split=partial(_report_split, ctx.train.sampler.batch_size, run_dir, console),
            )
            saver.wait()
            if stop.received:
                _save_and_stop(parts, progress, saver, run_dir, stop)
    finally:
        console.clear()
        for logger in loggers:
            logger.close()
        _list_bad_samples(parts, run_dir, console)


def _save_and_stop(parts: Run, progress: Progress, saver: Saver, run_dir: RunDir, stop: StopSignals) -> None:
    """Save the state and raise Interrupted; when training is over and nothing can be saved, let the run finish."""
    resume = run_dir.resume_command
    if not is_over(parts.ctx, progress):
        path = saver.save(progress)
        saver.wait()
        where = f" Its state is in {path}. Continue it with: {resume}" if path else ""
        raise Interrupted(f"Stopped by {stop.received} at step {progress.step}.{where}")
    if saver.settings is not None:
        raise Interrupted(f"Stopped by {stop.received} after training. The best weights are tested by: {resume}")


def _end_epoch(
    parts: Run, progress: Progress, saver: Saver, loggers: Sequence[Logger], console: Console, report: EpochReport
) -> None:
    """Log a finished epoch, show it, and save it when it is due."""
    for logger in loggers:
        logger.log(report.record)
    console.epoch(report.record, is_last=report.is_last)
    monitor = parts.ctx.monitor
    reason = parts.undefined.get(monitor.removeprefix("val/"))
    if progress.epoch == 1 and reason is not None:
        console.warn(f"{monitor} is undefined ({reason}), so no epoch can be the best. Choose another train.monitor.")
    if progress.batch == 0:  # at the end of max_steps within an epoch there is no such point for a longer run
        _mark_rollback_point(parts, progress, saver, "every_epochs", progress.epoch)
    with parts.ctx.times.spent_on("checkpoint"):
        saver.after_epoch(progress, report)


def _save_within_epoch(parts: Run, progress: Progress, saver: Saver) -> None:
    _mark_rollback_point(parts, progress, saver, "every_steps", progress.step)
    saver.save(progress)


def _mark_rollback_point(parts: Run, progress: Progress, saver: Saver, setting: str, done: int) -> None:
    """Mark what rollback returns to, at regular checkpoints only: a clock or a signal can ask for one at any step."""
    if parts.ctx.rollback is None or saver.settings is None:
        return
    every = saver.settings[setting]
    if every is not None and done % every == 0:
        state.mark_rollback_point(parts.ctx, progress)


def _list_bad_samples(parts: Run, run_dir: RunDir, console: Console) -> None:
    """Report which samples could not be read and were left out, and list them in the run folder."""
    train, left_out = parts.ctx.train, parts.prepared.left_out
    reasons = {train.split.name(index): reason for index, reason in sorted(train.bad_samples.items())}
    reasons = {**run_dir.read_json(BAD_SAMPLES), **reasons, **left_out}  # also of the run before it was continued
    if not reasons:
        return
    run_dir.write_json(BAD_SAMPLES, reasons)
    num_train = len(reasons.keys() - left_out.keys())
    others = f", and {len(left_out):,} of validation and test" if left_out else ""
    console.warn(
        f"{num_train:,} of {len(train.split):,} training samples could not be read and were left out{others}; "
        f"{run_dir.bad_samples} lists them."
    )


def _report_split(batch_size: int, run_dir: RunDir, console: Console, num_parts: int) -> None:
    """Show and record that batches are computed in parts from here on."""
    used = (
        f"computed in {num_parts} parts of {-(-batch_size // num_parts)}, because memory ran out; "
        "the optimizer sees the whole batch"
    )
    console.warn(f"train.batch_size={batch_size}: {used}.")
    receipt = run_dir.read_json(RECEIPT)
    decision = {"setting": "train.batch_size", "requested": str(batch_size), "used": used}
    run_dir.write_json(RECEIPT, {**receipt, "decisions": [*receipt.get("decisions", []), decision]})


@contextmanager
def _results_kept(parts: Run, progress: Progress, run_dir: RunDir) -> Iterator[None]:
    """Around the test: when it fails, summary.json holds the results of the training, and the error says so."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        summary = summarize(parts, progress, run_dir, None)
        run_dir.write_json(SUMMARY, {**summary, "test_error": str(error)})
        if not isinstance(error, PtrunError):
            raise
        again = f" When that is corrected, test it with: {run_dir.resume_command}" if run_dir.last.is_file() else ""
        raise type(error)(
            f"{error}\nThe training is over and its results are kept in {run_dir.path}; those on the test split are "
            f"missing.{again}"
        ) from error


def _test_best(parts: Run, run_dir: RunDir) -> dict[str, Any]:
    """Load the best weights and evaluate them on the test split. Returns what metrics.json holds."""
    ctx, config = parts.ctx, parts.config
    model, best = ctx.evaluated_model, run_dir.best
    if best.is_file():
        model.load_state_dict(state.evaluated_weights(store.load(best)))
    outputs = predict(ctx.with_views(model), ctx.loss, parts.test, ctx.runtime)
    predicted = make_predictions(config, parts.prepared.spec, outputs)
    return results.write(
        run_dir.test, "test", metric_settings(config), predicted, outputs.loss, parts.prepared.data, parts.test
    )
