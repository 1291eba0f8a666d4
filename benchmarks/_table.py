"""What the benchmarks share: options, the machine line, alternating rounds, medians and ratios, and printing.

Invariant: cases are compared within one call, round by round, in an order that turns about, so that a machine that
grows slower does so for all of them. Nothing here imports torch: a parent of measured processes stays small.
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
Times = Mapping[str, Sequence[float]]  # seconds per item of each case, one number a round


@dataclass(frozen=True)
class Unit:
    """How seconds per item are shown."""

    label: str
    of: Callable[[float], float]


US_PER_STEP = Unit("us/step", lambda seconds: 1e6 * seconds)
MS_PER_STEP = Unit("ms/step", lambda seconds: 1e3 * seconds)
SECONDS = Unit("s", lambda seconds: seconds)


def per_second(items: str) -> Unit:
    """Items in a second."""
    return Unit(f"{items}/s", lambda seconds: 1 / seconds)


def parser(description: str, *, rounds: int, threads: int | None) -> argparse.ArgumentParser:
    """The options that every script has; a script may add its own."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a smoke run of seconds; its numbers mean nothing")
    made.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to this file as well")
    made.add_argument("--rounds", type=int, default=rounds, help="how often every case is measured")
    made.add_argument(
        "--threads", type=int, default=threads, help="CPU threads of torch (none: as many as there are cores)"
    )
    return made


def read(options: argparse.ArgumentParser) -> argparse.Namespace:
    """The options as given; a quick run takes one round, and one thread unless told."""
    asked = options.parse_args()
    if asked.quick:
        asked.rounds, asked.threads = 1, asked.threads or 1
    return asked


def machine_line(threads: int | None) -> str:
    """Processor, usable cores, versions, threads, and how busy the machine was when the script began."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{_cpu_name()}, {cores} cores, torch {importlib.metadata.version('torch')}, Python {platform.python_version()}, "
        f"threads {threads or cores}{load}"
    )


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8").splitlines() if info.is_file() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def is_installed(package: str) -> bool:
    """Whether a peer can be imported."""
    return importlib.util.find_spec(package) is not None


def alternate(cases: Mapping[str, Case], rounds: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Run every case once a round, forwards and backwards in turn; the warm-up round before is not counted."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(-1 if warm_up else 0, rounds):
        for name in cases if number % 2 == 0 else reversed(list(cases)):
            print(f"  {f'round {number + 1} of {rounds}' if number >= 0 else 'warm-up'}: {name}", file=sys.stderr)
            seconds = cases[name]()
            if number >= 0:
                times[name].append(seconds)
    return times


def ratios(times: Times, case: str, baseline: str) -> list[float]:
    """Time of a case over that of the baseline in each round."""
    return [a / b for a, b in zip(times[case], times[baseline], strict=True)]


@dataclass
class Report:
    """Everything that a script prints, and the same as rows for a CSV file."""

    title: str
    machine: str
    quick: bool = False
    rows: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        print(f"{self.title}\n{self.machine}", flush=True)
        if self.quick:
            print("quick: a smoke run, whose numbers mean nothing")

    def note(self, text: str) -> None:
        """Print a sentence, such as why a case was left out."""
        print(text)

    def compare(self, name: str, times: Times, unit: Unit, baseline: str) -> None:
        """Print a table: median and best of each case, and the median and range of its time over the baseline's."""
        lines = [("case", unit.label, "best", f"time / {baseline}", "range")]
        for case, seconds in times.items():
            found = ratios(times, case, baseline)
            median, best = unit.of(statistics.median(seconds)), unit.of(min(seconds))
            ratio, low, high = statistics.median(found), min(found), max(found)
            lines.append((case, _number(median), _number(best), f"{ratio:.2f}", f"{low:.2f} - {high:.2f}"))
            self.add(
                name, case, unit.label, median, best=best, ratio=ratio, low=low, high=high, rounds=len(seconds), baseline=baseline
            )  # fmt: skip
        print(f"\n{name}")
        print_table(lines)

    def pairs(self, name: str, found: Mapping[str, Times], unit: Unit, case: str, baseline: str) -> None:
        """Print a table with a line for each item: the medians of a baseline and a case, and their ratio; the baseline may be absent."""
        lines = [("item", f"{baseline} {unit.label}", f"{case} {unit.label}", "time ratio", "range")]
        for item, times in found.items():
            medians = {each: unit.of(statistics.median(seconds)) for each, seconds in times.items()}
            more: dict[str, object] = {"rounds": len(times[case])}
            shown = ("-", _number(medians[case]), "-", "-")
            if baseline in times:
                many = ratios(times, case, baseline)
                ratio, low, high = statistics.median(many), min(many), max(many)
                shown = (_number(medians[baseline]), shown[1], f"{ratio:.2f}", f"{low:.2f} - {high:.2f}")
                more |= {"baseline": f"{item}, {baseline}", "ratio": ratio, "low": low, "high": high}
                self.add(name, f"{item}, {baseline}", unit.label, medians[baseline])
            lines.append((item, *shown))
            self.add(name, f"{item}, {case}", unit.label, medians[case], best=unit.of(min(times[case])), **more)
        print(f"\n{name}")
        print_table(lines)

    def number(self, name: str, case: str, unit: Unit, value: float) -> None:
        """Print a number that is compared with nothing."""
        print(f"{name}: {case}: {unit.of(value):.4g} {unit.label}")
        self.add(name, case, unit.label, unit.of(value))

    def accept(self, times: Times, case: str, baseline: str, limit: float, *, aim: float | None = None) -> None:
        """Print whether the time of a case over another's stays within a limit; nothing where one was left out."""
        if case not in times or baseline not in times:
            return
        found = ratios(times, case, baseline)
        told = f"{f', aim {aim:g}' if aim else ''} (range {min(found):.2f} - {max(found):.2f})"
        self.check(f"time of {case} / {baseline}", statistics.median(found), limit, aim=told)

    def check(self, what: str, value: float, limit: float, *, at_least: bool = False, aim: str = "") -> None:
        """Print whether a number stays within its limit."""
        met = value >= limit if at_least else value <= limit
        sign = ">=" if at_least else "<="
        verdict = "not judged (quick)" if self.quick else "met" if met else "NOT MET"
        print(f"acceptance: {what} = {value:.3f}, wanted {sign} {limit:g}{aim}: {verdict}")
        self.add("acceptance", what, "number", value, limit=f"{sign} {limit:g}", met=verdict)

    def add(self, table: str, case: str, unit: str, value: float, **more: object) -> None:
        """Keep a row for the CSV file that the caller prints in its own way."""
        self.rows.append({"table": table, "case": case, "unit": unit, "value": value, **more})

    def write(self, path: Path | None) -> None:
        """Write the rows as CSV, the machine in each, when a file was asked for."""
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
            writer.writerows({**row, "quick": self.quick, "machine": self.machine} for row in self.rows)


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print rows of cells: the first column to the left, numbers to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip(), flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
