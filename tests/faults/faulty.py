"""Shared by the fault tests: start, wait for and kill the command as a process; compare two runs.

The processes import the package from the folder named by PTRUN_TEST_SITE (an installed wheel), else from the checkout.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from support import ROOT

SITE = os.environ.get("PTRUN_TEST_SITE", str(ROOT))
PLUGIN = Path(__file__).with_name("instants.py")
INSTANTS = f"plugins=[{PLUGIN}]"
KILLED = -9
# Other classification metrics import scikit-learn, and plots matplotlib: half the time of a short process.
ACCURACY_ALONE, NO_PLOTS = "metrics=[accuracy]", "plots=false"
LEAN = (ACCURACY_ALONE, NO_PLOTS)
VOLATILE = ("seconds", "samples_per_second", "data_wait_percent")


@dataclass(frozen=True)
class Ended:
    """A finished process: exit code (negative: the signal that ended it), and its output."""

    code: int
    out: str
    err: str


class Process:
    """A process whose output goes to files, because a pipe would stay open while its children live."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        environment: dict[str, str],
        limits: str = "",
        wrapper: Sequence[str] = (),
    ) -> None:
        env = {**os.environ, "PYTHONPATH": SITE, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **environment}
        self.files = [folder / f".{name}-{len(list(folder.glob('.out-*')))}" for name in ("err", "out")]
        with self.files[1].open("wb") as out, self.files[0].open("wb") as err:
            before = ["sh", "-c", f'{limits}; exec "$@"', "sh"] if limits else []
            self.popen = subprocess.Popen(
                [*wrapper, *before, sys.executable, *command],
                stdout=out,
                stderr=err,
                cwd=folder,
                env=env,
                start_new_session=True,  # a group of its own, which can be sent signals
            )

    def wait_until_stopped(self) -> None:
        """Wait until it stops itself (STOP_AT)."""
        _, status = os.waitpid(self.popen.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), self.files[0].read_text()

    def wait(self) -> Ended:
        """Wait for its end. A traceback fails the test, except of data workers whose process was killed."""
        self.popen.wait()
        err, out = (file.read_text() for file in self.files)
        assert self.popen.returncode == KILLED or "Traceback" not in err, err
        return Ended(self.popen.returncode, out, err)


def start(folder: Path, *arguments: str, limits: str = "", **environment: str) -> Process:
    """Start `ptrun ARGUMENTS` in a folder; `limits` is a line of shell, such as `ulimit -t 1`."""
    return Process(folder, ["-m", "ptrun", *arguments], environment, limits)


def ptrun(folder: Path, *arguments: str, limits: str = "", **environment: str) -> Ended:
    """Run `ptrun ARGUMENTS` in a folder."""
    return start(folder, *arguments, limits=limits, **environment).wait()


def python(folder: Path, script: str, *arguments: str) -> Ended:
    """Run a script that imports the package."""
    return Process(folder, ["-c", script, *arguments], {}).wait()


def done(folder: Path, *arguments: str, **environment: str) -> Path:
    """Run a command that has to succeed; returns the newest run folder."""
    ended = ptrun(folder, *arguments, **environment)
    assert ended.code == 0, ended.err
    return latest(folder)


def refused(folder: Path, code: int, *arguments: str, **environment: str) -> str:
    """Run a command that has to end with this exit code; returns its error message."""
    ended = ptrun(folder, *arguments, **environment)
    assert ended.code == code, (ended.code, ended.out, ended.err)
    assert ended.err.startswith("error: "), ended.err
    return ended.err


def children(pid: int) -> list[int]:
    """The processes that a process started and that have not been waited for."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def latest(folder: Path) -> Path:
    """The run folder that `outputs/latest` points to."""
    return (folder / "outputs" / "latest").resolve()


def runs(folder: Path) -> list[Path]:
    """All run folders, oldest first."""
    return sorted(path for path in (folder / "outputs").glob("*/*") if path.parent.name != "latest")


def checkpoints(run_dir: Path) -> list[Path]:
    """The numbered checkpoints, oldest first."""
    return sorted((run_dir / "checkpoints").glob("step-*.pt"))


def load(path: Path) -> dict[str, Any]:
    """A checkpoint's state."""
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def records(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without times, which those of metrics.csv have to equal."""
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{key: str(value).lower() for key, value in line.items()} for line in lines] == rows
    return [{key: value for key, value in line.items() if key not in VOLATILE} for line in lines]


def assert_same_bits(one: Any, other: Any, where: str = "") -> None:
    """Compare nested containers, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, where
        assert one.shape == other.shape, where
        assert one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes(), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same_bits(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same_bits(*pair, f"{where}/{number}")
    else:
        assert one == other, where


def assert_equal_runs(one: Path, other: Path) -> None:
    """Compare two finished runs: checkpoints (not configuration, device, versions), records, predictions, metrics."""
    for name in ("last.pt", "best.pt"):
        states = [load(path / "checkpoints" / name) for path in (one, other)]
        for state in states:
            state["progress"].pop("seconds")
            for key in ("config", "device", "versions"):
                state.pop(key)
        assert_same_bits(*states, where=name)
    assert records(one) == records(other)
    for name in ("predictions.csv", "metrics.json"):
        assert (one / "test" / name).read_bytes() == (other / "test" / name).read_bytes()
    assert_whole(one)


def assert_whole(run_dir: Path) -> None:
    """Check that a run folder is finished: state, plots if wanted, no partly written files."""
    assert json.loads((run_dir / "status.json").read_text())["state"] == "done"
    has_plots = (run_dir / "plots" / "loss.png").is_file()
    assert has_plots == ("plots: true" in (run_dir / "resolved.yaml").read_text())
    leftovers = [path.name for path in run_dir.rglob("*") if ".tmp-" in path.name or path.name.endswith(".partial")]
    assert leftovers == []
