"""Start-up: time to the first line, to the first training step, from the last epoch to the result and to the exit.

Also of commands that do not train.

python benchmarks/startup.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from _processes import HERE, TUTORIAL, run
from _table import SECONDS, Case, Report, alternate, machine_line, parser, read

COMMANDS = {
    "ptrun --help": (("--help",), 0),
    "ptrun list": (("list",), 0),
    "ptrun show": (("show",), 0),
    "ptrun train, a mistake": (("train", "model=covnet", "optimizer.lr=abc"), 2),
}


MOMENTS = {  # of a run of three epochs on the digits: title → the two moments between which time is measured
    "Enter to the first line": ("start", "line"),
    "last epoch to the result": ("epoch", "result"),
    "last epoch to the exit, with pictures": ("epoch", "exit"),
}


def moments(folder: Path, threads: int | None) -> dict[str, float]:
    """When a short run prints its first line, its last epoch and its result, and when it ends."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(HERE.parent)}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    times = {"start": time.perf_counter()}
    command = [sys.executable, "-m", "ptrun", "train", "train.epochs=3"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            now = time.perf_counter()
            times.setdefault("line", now)
            if line.strip().startswith("3/3"):
                times["epoch"] = now
            if line.startswith("Result"):
                times["result"] = now
    times["exit"] = time.perf_counter()
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return times


def main() -> None:
    """Measure and print the results."""
    options = read(parser(__doc__.splitlines()[0], rounds=7, threads=1))
    report = Report("starting", machine_line(options.threads), options.quick)

    def seconds(arguments: tuple[str | Path, ...], folder: Path, exit_code: int = 0) -> float:
        return run(arguments, folder, options.threads, exit_code).seconds

    with tempfile.TemporaryDirectory(prefix="startup-bench-") as name:
        first = ("-m", "ptrun", "train", f"plugins=[{HERE / '_first_step.py'}]", "scheduler=ending")
        cases: dict[str, Case] = {
            "tutorial script, to the first step": partial(seconds, (TUTORIAL, "first-step"), Path(name)),
            "ptrun train, to the first step": partial(seconds, first, Path(name)),
            "python -c 'import torch'": partial(seconds, ("-c", "import torch"), Path(name)),
            "python -c pass": partial(seconds, ("-c", "pass"), Path(name)),
        }
        for title, (arguments, code) in COMMANDS.items():
            cases[title] = partial(seconds, ("-m", "ptrun", *arguments), Path(name), code)
        times = alternate(cases, options.rounds)
    with tempfile.TemporaryDirectory(prefix="startup-bench-") as name:
        runs = [moments(Path(name), options.threads) for _ in range(options.rounds)]
    for title, (begin, end) in MOMENTS.items():
        seconds_of_runs = [times_of_run[end] - times_of_run[begin] for times_of_run in runs]
        print(f"{title:40} best {min(seconds_of_runs):.2f} s, median {statistics.median(seconds_of_runs):.2f} s")
        report.add("a run of three epochs", title, SECONDS.label, min(seconds_of_runs), rounds=len(runs))
    report.compare("wall time of the process", times, SECONDS, "tutorial script, to the first step")
    report.note("Both train the same convolutional network on the digits; the process ends after its first step.")
    report.write(options.csv)


if __name__ == "__main__":
    main()
