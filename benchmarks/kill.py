"""Killing: runs ended by SIGKILL at instants spread over the training; the work that is lost, and damaged states.

python benchmarks/kill.py [--quick] [--csv FILE] [--kills N] [--threads N]
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from _processes import HERE
from _table import Report, Unit, machine_line, parser, print_table, read

from ptrun.checkpoint import store
from ptrun.errors import CheckpointError

STEPS = Unit("steps", lambda value: value)
COUNT = Unit("times", lambda value: value)
PLUGIN = HERE / "_killer.py"
CADENCES = {
    "one after each epoch": (),
    "one every 10 steps": ("checkpoint.every_steps=10",),
    "one after each step": ("checkpoint.every_steps=1",),
}
PHASES = ("step", "forward", "file")  # right after a step, in a forward pass, before a file gets its name
STEPS_PER_EPOCH = 40  # of the 1259 training digits in batches of 32


@dataclass(frozen=True)
class Killed:
    """What a killed run left: steps taken after its newest good checkpoint, and how many files can't be loaded."""

    lost_steps: int
    damaged: int


def command(epochs: int, threads: int | None, *more: str) -> list[str]:
    """A training run on the digits."""
    marks = ["model=simplenet", "device=cpu", f"train.epochs={epochs}", f"device.threads={threads or 'auto'}"]
    return [sys.executable, "-m", "ptrun", "train", *marks, *more, "-q"]


def kill_at(instant: str, folder: Path, arguments: list[str]) -> Killed:
    """Run until the process kills itself at an instant, "STEP PHASE"."""
    folder.mkdir()
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "KILL_AT": instant, "KILL_NOTES": str(folder / "steps")}
    ended = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != -signal.SIGKILL:
        raise RuntimeError(f"instant {instant}: ended with {ended.returncode}: {ended.stderr}")
    taken = int((folder / "steps").read_bytes() or b"0")
    return left_behind((folder / "outputs" / "latest").resolve(), taken)


def left_behind(run_dir: Path, taken: int) -> Killed:
    """Look at everything that a killed process left in its run folder."""
    damaged, newest = 0, 0
    json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    for path in [*store.steps(run_dir / "checkpoints"), *(run_dir / "checkpoints").glob("*st.pt")]:
        try:
            newest = max(newest, store.load(path)["progress"]["step"])
        except CheckpointError as error:
            print(error, file=sys.stderr)
            damaged += 1
    return Killed(max(0, taken - newest), damaged)


def main() -> None:
    """Measure and print."""
    options = parser(__doc__.splitlines()[0], rounds=1, threads=1)
    options.add_argument("--kills", type=int, default=100, help="how many runs are killed, the cadences in turn")
    asked = read(options)
    epochs, kills = (2, 3) if asked.quick else (10, asked.kills)
    report = Report("killing", machine_line(asked.threads), asked.quick)
    found: dict[str, list[Killed]] = {name: [] for name in CADENCES}
    with tempfile.TemporaryDirectory(prefix="kill-bench-") as name:
        for number in range(kills):
            cadence = list(CADENCES)[number % len(CADENCES)]
            step = (2 * number + 1) * STEPS_PER_EPOCH * epochs // (2 * kills)
            instant = f"{step} {PHASES[number // len(CADENCES) % len(PHASES)]}"
            marks = (f"plugins=[{PLUGIN}]", "scheduler=killing", *CADENCES[cadence])
            arguments = command(epochs, asked.threads, *marks)
            print(f"  kill {number + 1} of {kills}: {cadence}, instant {instant}", file=sys.stderr)
            found[cadence].append(kill_at(instant, Path(name) / str(number), arguments))
    show(report, found)
    report.write(asked.csv)


def show(report: Report, found: dict[str, list[Killed]]) -> None:
    """Print the table and the verdict."""
    lines = [("checkpoints", "kills", "steps lost, median", "most", "damaged files")]
    for name, killed in found.items():
        lost, damaged = [each.lost_steps for each in killed], sum(each.damaged for each in killed)
        lines.append((name, str(len(killed)), f"{statistics.median(lost):g}", str(max(lost)), str(damaged)))
        report.add("lost work", name, STEPS, statistics.median(lost), high=max(lost), rounds=len(killed))
        report.add("damaged files", name, COUNT, damaged, rounds=len(killed))
    print(f"\nlost work, {STEPS_PER_EPOCH} steps an epoch")
    print_table(lines)
    report.check("damaged files", sum(each.damaged for killed in found.values() for each in killed), 0)


if __name__ == "__main__":
    main()
