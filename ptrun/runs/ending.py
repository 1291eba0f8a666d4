"""Holds a run folder while its run goes on, and writes into it how the run ended: the one place that does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TextIO

from ptrun import plugins
from ptrun.build.run import compiles_model
from ptrun.config.run_config import RunConfig
from ptrun.errors import Interrupted, Pruned
from ptrun.files import lock
from ptrun.process.signals import STOPPED_BY_KEYBOARD, StopSignals
from ptrun.process.startup import without_compiler
from ptrun.runs.folder import RESOLVED, STATUS, RunDir
from ptrun.terminal.console import Console, error_lines


@contextmanager
def open_run(run_dir: RunDir, config: RunConfig, stop: StopSignals, *, quiet: bool) -> Iterator[Console]:
    """Hold the run folder, with its log open. Afterwards status.json says how the run ended, whatever ended it.

    Raises Interrupted for a stop signal, and what was raised inside.
    """
    compiler = nullcontext() if compiles_model(config) else without_compiler()
    with lock.lock(run_dir.path) as problem, run_dir.log.open("a", encoding="utf-8") as log, compiler:
        console = Console(quiet, log)
        try:
            stop.before_exit = partial(_note_exit, run_dir)
            run_dir.write_status("running")
            if problem:
                console.warn(f"{run_dir.path}: can't be locked ({problem}). Start no second process on this folder.")
            with plugins.attribute_plugin_errors(config.model.name):
                yield console
            stop.note_from_here()
            run_dir.write_status("done", exit_code=0)
        except BaseException as error:
            stop.note_from_here()
            console.clear()
            ended = _as_interrupted(error, stop, run_dir)
            _write_end(run_dir, ended, log)
            if ended is error:
                raise
            raise ended from error


def note_end(run_dir: RunDir, reason: str, exit_code: int) -> None:
    """Write how a run ended whose process is gone and did not say so itself."""
    with suppress(OSError):
        run_dir.write_status("failed", reason=reason, exit_code=exit_code)
        with run_dir.log.open("a", encoding="utf-8") as log:
            print("\n".join(error_lines(reason)), file=log)


def _note_exit(run_dir: RunDir, signal_name: str, exit_code: int) -> None:
    """Write that a second signal ends the process now, unless status.json says already how the run ended."""
    if run_dir.read_json(STATUS).get("state") == "running":
        reason = f"Ended at once by a second signal ({signal_name}). Continue the run with: {run_dir.resume_command}"
        run_dir.write_status("interrupted", reason=reason, exit_code=exit_code)


def _as_interrupted(error: BaseException, stop: StopSignals, run_dir: RunDir) -> BaseException:
    """The error; Interrupted when a stop signal raised it, also where a library made another error of it."""
    if not stop.has_raised or isinstance(error, Interrupted):
        return error
    if not (run_dir.path / RESOLVED).is_file():
        return Interrupted(f"Stopped by {stop.received} before the run began.")
    return Interrupted(f"Stopped by {stop.received}. Continue the run with: {run_dir.resume_command}")


def _write_end(run_dir: RunDir, error: BaseException, log: TextIO) -> None:
    if isinstance(error, Pruned):
        run_dir.write_status("pruned", reason=str(error), exit_code=0)
        print(error, file=log, flush=True)
        return
    is_interrupted = isinstance(error, Interrupted | KeyboardInterrupt)
    code = STOPPED_BY_KEYBOARD if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)
    reason = str(error) or type(error).__name__
    if isinstance(error, SystemExit):
        reason = f"The code of this run ended its process: sys.exit({error.code!r})."
    with suppress(OSError):  # on a full disk the first error is the one to report
        run_dir.write_status("interrupted" if is_interrupted else "failed", reason=reason, exit_code=code)
        print(reason if is_interrupted else "\n".join(error_lines(reason)), file=log, flush=True)
