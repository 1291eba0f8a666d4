"""What the benchmarks share: options, the machine line, alternating rounds, medians and ratios, and printing.

All cases run within one call, round by round, in alternating order, so that a machine that becomes slower does so for
all of them. Nothing here imports torch: the parent of measured processes stays small.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Case = Callable[[], float]  # runs once and returns the seconds that one item of work took
Times = Mapping[str, Sequence[float]]  # seconds per item of each case, one number per round


@dataclass(frozen=True)
class Unit:
    """How seconds per item are printed."""

    label: str
    of: Callable[[float], float]  # from seconds per item to a number in this unit


US_PER_STEP = Unit("us/step", lambda seconds: 1e6 * seconds)
MS_PER_STEP = Unit("ms/step", lambda seconds: 1e3 * seconds)
SECONDS = Unit("s", lambda seconds: seconds)


def per_second(items: str) -> Unit:
    """Return the unit "items per second"."""
    return Unit(f"{items}/s", lambda seconds: 1 / seconds)


def parser(description: str, *, rounds: int, threads: int | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all scripts have; a script may add its own."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="a smoke run of seconds; its numbers mean nothing")
    arguments.add_argument("--csv", type=Path, metavar="FILE", help="also write the rows to this file")
    arguments.add_argument("--rounds", type=int, default=rounds, help="how often to measure each case")
    arguments.add_argument("--threads", type=int, default=threads, help="CPU threads of torch (none: one per core)")
    return arguments


def read(arguments: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line. A quick run has one round, and one thread unless `--threads` is given."""
    options = arguments.parse_args()
    if options.quick:
        options.rounds, options.threads = 1, options.threads or 1
    return options


def machine_line(threads: int | None) -> str:
    """Describe processor, usable cores, versions, threads, and the load when the script starts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = f"torch {importlib.metadata.version('torch')}, Python {platform.python_version()}"
    return f"{_cpu_name()}, {cores} cores, {versions}, threads {threads or cores}{load}"


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8").splitlines() if info.is_file() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def is_installed(package: str) -> bool:
    """Return whether a package can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def alternate(cases: Mapping[str, Case], rounds: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Run each case once per round, in alternating order. The warm-up round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(-1 if warm_up else 0, rounds):
        for name in cases if number % 2 == 0 else reversed(list(cases)):
            print(f"  {f'round {number + 1} of {rounds}' if number >= 0 else 'warm-up'}: {name}", file=sys.stderr)
            seconds = cases[name]()
            if number >= 0:
                times[name].append(seconds)
    return times


def ratios(times: Times, case: str, baseline: str) -> list[float]:
    """Return the time of a case divided by that of the baseline, for each round."""
    return [a / b for a, b in zip(times[case], times[baseline], strict=True)]


@dataclass
class Report:
    """Prints the results of a script and collects them as rows for a CSV file."""

    title: str
    machine: str
    quick: bool = False
    rows: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        print(f"{self.title}\n{self.machine}", flush=True)
        if self.quick:
            print("quick: a smoke run, whose numbers mean nothing")

    def note(self, text: str) -> None:
        """Print a sentence, for example why a case is missing."""
        print(text)

    def compare(self, name: str, times: Times, unit: Unit, baseline: str) -> None:
        """Print a table: median and best of each case, and median and range of its time divided by the baseline's."""
        lines = [("case", unit.label, "best", f"time / {baseline}", "range")]
        for case, seconds in times.items():
            quotients = ratios(times, case, baseline)
            median, best = unit.of(statistics.median(seconds)), unit.of(min(seconds))
            ratio, low, high = statistics.median(quotients), min(quotients), max(quotients)
            lines.append((case, _number(median), _number(best), f"{ratio:.2f}", f"{low:.2f} - {high:.2f}"))
            spread: dict[str, object] = {"ratio": ratio, "low": low, "high": high, "baseline": baseline}
            self.add(name, case, unit.label, median, best=best, rounds=len(seconds), **spread)
        print(f"\n{name}")
        print_table(lines)

    def pairs(self, name: str, items: Mapping[str, Times], unit: Unit, case: str, baseline: str) -> None:
        """Print one row per item: medians of baseline and case, and their ratio. The baseline may be absent."""
        lines = [("item", f"{baseline} {unit.label}", f"{case} {unit.label}", "time ratio", "range")]
        for item, times in items.items():
            medians = {key: unit.of(statistics.median(seconds)) for key, seconds in times.items()}
            columns: dict[str, object] = {"rounds": len(times[case])}
            cells = ("-", _number(medians[case]), "-", "-")
            if baseline in times:
                quotients = ratios(times, case, baseline)
                ratio, low, high = statistics.median(quotients), min(quotients), max(quotients)
                cells = (_number(medians[baseline]), cells[1], f"{ratio:.2f}", f"{low:.2f} - {high:.2f}")
                columns |= {"baseline": f"{item}, {baseline}", "ratio": ratio, "low": low, "high": high}
                self.add(name, f"{item}, {baseline}", unit.label, medians[baseline])
            lines.append((item, *cells))
            self.add(name, f"{item}, {case}", unit.label, medians[case], best=unit.of(min(times[case])), **columns)
        print(f"\n{name}")
        print_table(lines)

    def number(self, name: str, case: str, unit: Unit, value: float) -> None:
        """Print a number that has no baseline."""
        print(f"{name}: {case}: {unit.of(value):.4g} {unit.label}")
        self.add(name, case, unit.label, unit.of(value))

    def accept(self, times: Times, case: str, baseline: str, limit: float, *, aim: float | None = None) -> None:
        """Print whether a case's time over the baseline's is within a limit; nothing if one of them is missing."""
        if case not in times or baseline not in times:
            return
        quotients = ratios(times, case, baseline)
        comment = f"{f', aim {aim:g}' if aim else ''} (range {min(quotients):.2f} - {max(quotients):.2f})"
        self.check(f"time of {case} / {baseline}", statistics.median(quotients), limit, comment=comment)

    def check(self, name: str, value: float, limit: float, *, at_least: bool = False, comment: str = "") -> None:
        """Print whether a number is within its limit."""
        met = value >= limit if at_least else value <= limit
        sign = ">=" if at_least else "<="
        verdict = "not judged (quick)" if self.quick else "met" if met else "NOT MET"
        print(f"acceptance: {name} = {value:.3f}, wanted {sign} {limit:g}{comment}: {verdict}")
        self.add("acceptance", name, "number", value, limit=f"{sign} {limit:g}", met=verdict)

    def add(self, table: str, case: str, unit: str, value: float, **more: object) -> None:
        """Add a row for the CSV file, without printing it."""
        self.rows.append({"table": table, "case": case, "unit": unit, "value": value, **more})

    def write(self, path: Path | None, *, since: int = 0) -> None:
        """Write the rows from index `since` on as CSV, each with the machine, unless `path` is None."""
        if path is None:
            return
        columns = [
            "table",
            "case",
            "unit",
            "value",
            "best",
            "baseline",
            "ratio",
            "low",
            "high",
            "rounds",
            "limit",
            "met",
        ]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*columns, "quick", "machine"])
            writer.writeheader()
            writer.writerows({**row, "quick": self.quick, "machine": self.machine} for row in self.rows[since:])


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print rows of cells: the first column aligned left, the others right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip(), flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
