"""Reading a wide table, 500 columns: time and peak memory of ptrun beside the readers of pyarrow and pandas.

python benchmarks/read_table.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _processes import HERE, run
from _table import SECONDS, Case, Report, Unit, alternate, is_installed, machine_line, parser, read

READING = HERE / "_reading.py"
MIB = Unit("MiB", lambda size: size / 2**20)
CASES = {
    "pyarrow": "pyarrow",
    "pandas": "pandas-whole",
    "ptrun, numbers as float64": "columns",
    "ptrun, the data set (kinds, parts, scaling)": "table",
}


def main() -> None:
    """Measure and print the results."""
    options = read(parser(__doc__.splitlines()[0], rounds=3, threads=None))
    rows = 500 if options.quick else 100_000
    report = Report("reading a table", machine_line(options.threads), options.quick)
    readers = {name: how for name, how in CASES.items() if name != "pandas" or is_installed("pandas")}
    with tempfile.TemporaryDirectory(prefix="read-bench-") as name:
        folder = Path(name)
        run((READING, "make-wide", "wide.csv", str(rows)), folder, options.threads)
        peaks: dict[str, int] = {}

        def seconds(case: str) -> float:
            usage = run((READING, readers[case], "wide.csv"), folder, options.threads)
            peaks[case] = max(usage.peak_bytes, peaks.get(case, 0))
            return usage.seconds

        cases: dict[str, Case] = {case: lambda case=case: seconds(case) for case in readers}  # type: ignore[misc]
        times = alternate(cases, options.rounds)
    report.compare(f"{rows:,} rows of 500 columns, start-up and imports included", times, SECONDS, "pyarrow")
    for case, peak in peaks.items():
        report.number("peak resident memory", case, MIB, peak)
    ours = "ptrun, numbers as float64"
    report.accept(times, ours, "pyarrow", 1.5)
    report.check("memory of ptrun / pyarrow", peaks[ours] / peaks["pyarrow"], 2)
    report.write(options.csv)


if __name__ == "__main__":
    main()
