"""One job of a sweep, in a process of its own: begins its run, continues it, does it over, or tests it.

`python -m ptrun.sweeps.job FOLDER WORDS` runs a job where a process can't be forked: WORDS is a JSON object with the
values that sweep.json and job.json do not hold.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ptrun.config.load import LoadedConfig
from ptrun.config.sweep import SweepSettings
from ptrun.errors import Pruned, PtrunError, is_out_of_memory
from ptrun.files import lock
from ptrun.process import machine
from ptrun.process.children import TIMED_OUT, stop_with_parent
from ptrun.runs import find
from ptrun.runs.folder import JOB, RESOLVED, STATUS, RunDir
from ptrun.sweeps import sources
from ptrun.terminal import console

# Exit codes of a run that is continued; after any other it is done over, as its code or its data may have changed.
_STOPPED = (6, 75, TIMED_OUT)  # memory or disk, a signal, too long
_BY_SIGNAL = 128


@dataclass(frozen=True)
class JobRequest:
    """What one job needs. cores: how many it may use. test: whether to evaluate it on the test split."""

    folder: Path
    loaded: LoadedConfig
    overrides: Sequence[str]
    command: Sequence[str]
    conf_folders: tuple[Path, ...]
    cores: int
    settings: SweepSettings
    environment: Mapping[str, str] = field(default_factory=dict)
    test: bool = True

    def words(self, claim: TextIO) -> list[str]:
        """The arguments of a fresh process that does the same."""
        values = {"cores": self.cores, "test": self.test, "settings": asdict(self.settings)}
        values |= {"parent": os.getpid(), "claim": claim.fileno()}
        return ["-m", __name__, str(self.folder.resolve()), json.dumps(values)]


def run(request: JobRequest, claim: TextIO) -> int:
    """Train, and return the exit code. Errors are printed and stand in status.json afterwards.

    claim: the file whose lock makes the job this process's until it ends.
    """
    lock.adopt(claim)
    os.environ.update(request.environment)
    machine.use_at_most(request.cores)
    lock.wait_until_free(request.folder)  # a process of a driver that was killed may still be saving its state
    if find.is_done(request.folder) and (find.is_tested(request.folder) or not request.test):
        return 0
    run_dir = RunDir(request.folder)
    try:
        _train(request, run_dir)
    except Pruned:
        return 0
    except SystemExit:  # of the user's code: the process ends so, and the traceback says where
        traceback.print_exc()
        raise
    except Exception as error:  # noqa: BLE001 (reported by the exit code and in status.json)
        return _report(error, run_dir)
    return 0


def run_forked(request: JobRequest, claim: TextIO) -> int:
    """The same in a fork of a process that has imported the plugins: what they import later are copies, too."""
    sources.thaw(request.folder.parent, find.read_plan(request.folder.parent))
    return run(request, claim)


def _train(request: JobRequest, run_dir: RunDir) -> None:
    from ptrun.device.threads import start_with_threads
    from ptrun.runs import resume, session
    from ptrun.sweeps.pruning import Pruner

    start_with_threads(request.cores)
    config, as_written = request.loaded
    name = run_dir.path.name
    pruner = Pruner(request.settings, run_dir.path.parent, name, int(name) if name.isdigit() else 0)
    common: dict[str, Any] = {"quiet": True, "test": request.test, "why_prune": pruner.why_prune}
    if _can_continue(run_dir):
        path = str(run_dir.path)
        again = resume.ResumeRequest(path, {}, (), request.command, request.conf_folders, config.plugins, **common)
        resume.continue_in(run_dir.path, config, again)
        return
    run_dir.start_over()
    words = request.overrides, request.command, request.conf_folders
    session.run(session.TrainRequest(config, as_written, *words, run_dir.path, **common))


def _can_continue(run_dir: RunDir) -> bool:
    """Whether there is a run that was stopped, or is to be tested, rather than one that failed by itself."""
    status = find.read_leniently(run_dir.path, STATUS)
    if not (run_dir.path / RESOLVED).is_file():
        return False
    code = status.get("exit_code", 1)
    return status.get("state") in ("running", "interrupted", "pruned", "done") or code in _STOPPED or code >= _BY_SIGNAL


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


def main(folder: Path, values: Mapping[str, Any]) -> int:
    """Run the job in a folder, with the values of `JobRequest.words`. Returns the exit code."""
    from ptrun.config.load import thaw

    stop_with_parent(values["parent"])
    claim = os.fdopen(values["claim"], "a+", encoding="utf-8")
    plan = find.read_plan(folder.parent)
    job = find.read_leniently(folder, JOB)
    if "config" not in job:  # of a grid
        job = next(planned for planned in plan["jobs"] if planned["job"] == folder.name)
    conf_folders = sources.thaw(folder.parent, plan)
    loaded, settings = thaw(job["config"], conf_folders), SweepSettings(**values["settings"])
    words = job["overrides"], plan["command"], conf_folders
    return run(JobRequest(folder, loaded, *words, values["cores"], settings, test=values["test"]), claim)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
