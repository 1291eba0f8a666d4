"""Sweeps of small jobs: processor time per job of `ptrun train -m`, of Hydra's launchers, and of one process for each.

Also the processor time until the first of 200 jobs starts.

python benchmarks/sweep.py [--quick] [--csv FILE] [--rounds N] [--threads N] [--old FOLDER]

--old FOLDER: a checkout of a ptrun whose `-m` ran all jobs in one process (commit 84b5b06), measured beside the others.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from _processes import HERE, run
from _table import SECONDS, Case, Report, alternate, is_installed, machine_line, parser, read

COMMON = ("model=simplenet", "optimizer=sgd", "plots=false")  # on the digits: 20 epochs, 800 steps
RATES = ("0.1", "0.05", "0.02", "0.01", "0.005", "0.002")
SEEDS = 4
SEPARATE = 2  # processes whose mean is taken
PLAN = ("optimizer.lr=0.1,0.05,0.02,0.01,0.005", "optimizer.weight_decay=0,1e-4", "seed=range(20)")
OWN = ("sweep.jobs=2",)
OLD = "the old ptrun train -m"
LAUNCHERS = {
    "ptrun train -m": OWN,
    OLD: (),
    "hydra/launcher=basic": ("hydra/launcher=basic",),
    "hydra/launcher=joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
}


def sweep(
    folder: Path, threads: int, launcher: str, rates: tuple[str, ...], seeds: int, root: Path = HERE.parent
) -> float:
    """Processor time of a sweep from nothing, its jobs included. root: the checkout whose ptrun is run."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        axes = (f"optimizer.lr={','.join(rates)}", f"seed={','.join(map(str, range(seeds)))}")
        words = (*COMMON, *axes, f"device.threads={threads}", *LAUNCHERS[launcher], f"hydra.sweep.dir={name}/sweep")
        return run(("-m", "ptrun", "train", "-m", *words, "-q"), folder, threads, root=root).cpu_seconds


def separate(folder: Path, threads: int) -> float:
    """Processor time of one run in a process of its own."""
    words = (*COMMON, f"device.threads={threads}", "-q")
    times = [
        run(("-m", "ptrun", "train", *words, f"seed={seed}"), folder, threads).cpu_seconds for seed in range(SEPARATE)
    ]
    return statistics.fmean(times)


def time_to_first_job(folder: Path, threads: int) -> tuple[float, float]:
    """Wall and processor time of `ptrun train -m` with 200 jobs until the first starts; all have been checked then."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, "-m", "ptrun", "train", "-m", *COMMON, *PLAN, f"device.threads={threads}", *OWN]
    start = time.perf_counter()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("  job 0 started"):
                break
        seconds, cpu_seconds = time.perf_counter() - start, _cpu_seconds(process.pid)
        process.terminate()
        process.stdout.read()
    return seconds, cpu_seconds


def _cpu_seconds(pid: int) -> float:
    """Processor time of a running process, as Linux counts it."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return 0.0
    fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def per_job(report: Report, times: Mapping[str, list[float]], jobs: int) -> dict[str, list[float]]:
    """Processor time of one more job: of all jobs less that of one, divided by their number."""
    found = {}
    for launcher in LAUNCHERS:
        if launcher not in times:
            continue
        ones = times[f"{launcher}, one job"]
        found[launcher] = [(all_ - one) / (jobs - 1) for all_, one in zip(times[launcher], ones, strict=True)]
        report.number("a sweep of one job, start-up included", launcher, SECONDS, statistics.median(ones))
    return {**found, "ptrun train, a process for each": times["ptrun train, a process for each"]}


def main() -> None:
    """Measure and print the results."""
    arguments = parser(__doc__.splitlines()[0], rounds=3, threads=1)
    arguments.add_argument("--old", type=Path, metavar="FOLDER", help="a checkout with the old -m, to compare with")
    options = read(arguments)
    rates, seeds = (RATES[:2], 1) if options.quick else (RATES, SEEDS)
    report = Report("Sweeps of small jobs", machine_line(options.threads), options.quick)
    with tempfile.TemporaryDirectory(prefix="sweep-bench-") as name:
        folder, cases = Path(name), dict[str, Case]()
        for launcher in LAUNCHERS:
            if launcher.endswith("joblib") and not is_installed("hydra_plugins.hydra_joblib_launcher"):
                report.note(f"{launcher} is absent: hydra-joblib-launcher is not installed.")
                continue
            if launcher == OLD and options.old is None:
                continue
            root = options.old.resolve() if launcher == OLD else HERE.parent
            cases[launcher] = partial(sweep, folder, options.threads, launcher, rates, seeds, root)
            cases[f"{launcher}, one job"] = partial(sweep, folder, options.threads, launcher, rates[:1], 1, root)
        cases["ptrun train, a process for each"] = partial(separate, folder, options.threads)
        times = alternate(cases, options.rounds, warm_up=False)
        plans = [time_to_first_job(folder, options.threads) for _ in range(options.rounds)]
    of_jobs = per_job(report, times, len(rates) * seeds)
    report.compare("processor time of one more job", of_jobs, SECONDS, "hydra/launcher=basic")
    report.note("One more job: the sweep less a sweep of one job, divided. Each trains 20 epochs, and is evaluated.")
    wall, cpu = (statistics.median(values) for values in zip(*plans, strict=True))
    report.number("200 jobs, until the first starts", "wall time", SECONDS, wall)
    report.number("200 jobs, until the first starts", "processor time", SECONDS, cpu)
    report.accept(of_jobs, "ptrun train -m", OLD, 0.35)  # prints nothing without --old
    report.accept(of_jobs, "ptrun train -m", "ptrun train, a process for each", 0.1)
    report.check("seconds until the first of 200 jobs starts", cpu or wall, 5.0, comment=" (processor time)")
    report.write(options.csv)


if __name__ == "__main__":
    main()
