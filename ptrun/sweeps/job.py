"""One job of a sweep, in a process of its own: begins its run, continues it, or does it over.

`python -m ptrun.sweeps.job FOLDER JOB CORES PARENT` runs a job of sweep.json where a process can't be forked.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptrun.config.load import LoadedConfig
from ptrun.errors import PtrunError, is_out_of_memory
from ptrun.files import lock
from ptrun.process import machine
from ptrun.process.children import TIMED_OUT, stop_with_parent
from ptrun.runs import find
from ptrun.runs.folder import RESOLVED, STATUS, RunDir
from ptrun.terminal import console

# Exit codes of a run that is continued; after any other it is done over, as its code or its data may have changed.
_STOPPED = (6, 75, TIMED_OUT)  # memory or disk, a signal, too long
_BY_SIGNAL = 128


@dataclass(frozen=True)
class JobRequest:
    """What one job needs. cores: how many it may use."""

    folder: Path
    loaded: LoadedConfig
    overrides: Sequence[str]
    command: Sequence[str]
    conf_folders: tuple[Path, ...]
    cores: int
    environment: Mapping[str, str] = field(default_factory=dict)


def run(request: JobRequest) -> int:
    """Train, and return the exit code. Errors are printed and stand in status.json afterwards."""
    os.environ.update(request.environment)
    machine.use_at_most(request.cores)
    lock.wait_until_free(request.folder)  # a process of a driver that was killed may still be saving its state
    if find.is_done(request.folder):
        return 0
    run_dir = RunDir(request.folder)
    try:
        _train(request, run_dir)
    except SystemExit:  # of the user's code: the process ends so, and the traceback says where
        traceback.print_exc()
        raise
    except Exception as error:  # noqa: BLE001 (told by the exit code and in status.json)
        return _report(error, run_dir)
    return 0


def _train(request: JobRequest, run_dir: RunDir) -> None:
    from ptrun.device.threads import start_with_threads
    from ptrun.runs import resume, session

    start_with_threads(request.cores)
    config, as_written = request.loaded
    if _can_continue(run_dir):
        again = resume.ResumeRequest(
            str(run_dir.path), {}, (), request.command, request.conf_folders, config.plugins, quiet=True
        )
        resume.continue_in(run_dir.path, config, again)
        return
    run_dir.start_over()
    session.run(
        session.TrainRequest(
            config, as_written, request.overrides, request.command, request.conf_folders, run_dir.path, quiet=True
        )
    )


def _can_continue(run_dir: RunDir) -> bool:
    """Whether there is a run that was stopped, rather than one that failed by itself."""
    status = find.read_leniently(run_dir.path, STATUS)
    if not (run_dir.path / RESOLVED).is_file():
        return False
    code = status.get("exit_code", 1)
    return status.get("state") in ("running", "interrupted") or code in _STOPPED or code >= _BY_SIGNAL


def _report(error: Exception, run_dir: RunDir) -> int:
    """Print an error; write it into the run folder if the run had not begun. Returns the exit code."""
    from ptrun.runs.ending import note_end

    code = getattr(error, "exit_code", 6 if is_out_of_memory(error) else 1)
    if isinstance(error, PtrunError):
        console.error(str(error).splitlines())
    else:
        traceback.print_exc()
    if find.read_leniently(run_dir.path, STATUS).get("state") in (None, "running"):
        note_end(run_dir, str(error) or type(error).__name__, code)
    return int(code)


def main(folder: Path, name: str, cores: int, parent: int) -> int:
    """Run a job of the plan in the folder of a sweep. Returns the exit code."""
    from ptrun.config.load import thaw

    stop_with_parent(parent)
    plan = find.read_plan(folder)
    job: Mapping[str, Any] = next(job for job in plan["jobs"] if job["job"] == name)
    conf_folders = tuple(map(Path, plan["conf_folders"]))
    loaded = thaw(job["config"], conf_folders)
    return run(JobRequest(folder / name, loaded, job["overrides"], plan["command"], conf_folders, cores))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
