"""Kills: runs ended by SIGKILL at instants spread over the training; lost steps, and damaged files.

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

from ptrun.checkpoint import names, store
from ptrun.errors import CheckpointError

STEPS = Unit("steps", lambda value: value)
COUNT = Unit("times", lambda value: value)
PLUGIN = HERE / "_killer.py"
CADENCES = {
    "one after each epoch": (),
    "one every 10 steps": ("checkpoint.every_steps=10",),
    "one after each step": ("checkpoint.every_steps=1",),
}
PHASES = ("step", "forward", "file")  # after a step, in a forward pass, before a file is renamed to its final name
STEPS_PER_EPOCH = 40  # of the 1259 training digits in batches of 32


@dataclass(frozen=True)
class Killed:
    """Steps taken after the newest good checkpoint of a killed run, and the number of files that can't be loaded."""

    lost_steps: int
    damaged: int


def command(epochs: int, threads: int | None, *more: str) -> list[str]:
    """Return the command of a training run on the digits."""
    settings = ["model=simplenet", "device=cpu", f"train.epochs={epochs}", f"device.threads={threads or 'auto'}"]
    return [sys.executable, "-m", "ptrun", "train", *settings, *more, "-q"]


def kill_at(instant: str, folder: Path, arguments: list[str]) -> Killed:
    """Run a command until its process kills itself at an instant, "STEP PHASE"."""
    folder.mkdir()
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "KILL_AT": instant, "KILL_NOTES": str(folder / "steps")}
    ended = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != -signal.SIGKILL:
        raise RuntimeError(f"instant {instant}: ended with {ended.returncode}: {ended.stderr}")
    steps_taken = int((folder / "steps").read_bytes() or b"0")
    return inspect((folder / "outputs" / "latest").resolve(), steps_taken)


def inspect(run_dir: Path, steps_taken: int) -> Killed:
    """Load every checkpoint that a killed process left in its run folder."""
    damaged, newest = 0, 0
    json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    for path in [*names.step_files(run_dir / "checkpoints"), *(run_dir / "checkpoints").glob("*st.pt")]:
        try:
            newest = max(newest, store.load(path)["progress"]["step"])
        except CheckpointError as error:
            print(error, file=sys.stderr)
            damaged += 1
    return Killed(max(0, steps_taken - newest), damaged)


def main() -> None:
    """Measure and print the results."""
    arguments = parser(__doc__.splitlines()[0], rounds=1, threads=1)
    arguments.add_argument("--kills", type=int, default=100, help="how many runs to kill, alternating between cadences")
    options = read(arguments)
    epochs, kills = (2, 3) if options.quick else (10, options.kills)
    report = Report("kills", machine_line(options.threads), options.quick)
    results: dict[str, list[Killed]] = {name: [] for name in CADENCES}
    with tempfile.TemporaryDirectory(prefix="kill-bench-") as name:
        for number in range(kills):
            cadence = list(CADENCES)[number % len(CADENCES)]
            step = (2 * number + 1) * STEPS_PER_EPOCH * epochs // (2 * kills)
            instant = f"{step} {PHASES[number // len(CADENCES) % len(PHASES)]}"
            settings = (f"plugins=[{PLUGIN}]", "scheduler=killing", *CADENCES[cadence])
            training = command(epochs, options.threads, *settings)
            print(f"  kill {number + 1} of {kills}: {cadence}, instant {instant}", file=sys.stderr)
            results[cadence].append(kill_at(instant, Path(name) / str(number), training))
    print_results(report, results)
    report.write(options.csv)


def print_results(report: Report, results: dict[str, list[Killed]]) -> None:
    """Print the table and the acceptance."""
    lines = [("checkpoints", "kills", "steps lost, median", "most", "damaged files")]
    for name, runs in results.items():
        lost, damaged = [run.lost_steps for run in runs], sum(run.damaged for run in runs)
        lines.append((name, str(len(runs)), f"{statistics.median(lost):g}", str(max(lost)), str(damaged)))
        report.add("lost work", name, STEPS.label, statistics.median(lost), high=max(lost), rounds=len(runs))
        report.add("damaged files", name, COUNT.label, damaged, rounds=len(runs))
    print(f"\nlost work, {STEPS_PER_EPOCH} steps per epoch")
    print_table(lines)
    report.check("damaged files", sum(run.damaged for runs in results.values() for run in runs), 0)


if __name__ == "__main__":
    main()
