"""Tables and series: rows and windows per second as batches, and the time to read the file.

python benchmarks/tables_series.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import _run
import numpy as np
import torch
from _table import Case, Report, alternate, machine_line, parser, per_second, read
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ptrun import registry
from ptrun.data.loading.loader import Loader

BATCH, WINDOW, HORIZON = 64, 96, 24
COLUMNS = 12


def write_table(path: Path, rows: int) -> None:
    """Write a CSV file with columns of numbers, one of words, and one to predict."""
    rng = np.random.default_rng(0)
    numbers, words = rng.normal(size=(rows, COLUMNS)), rng.choice(["red", "green", "blue"], rows)
    labels = np.where(numbers[:, 0] + (words == "red") > 0, "yes", "no")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{i}" for i in range(COLUMNS)), "color", "label"])
        for row, word, label in zip(numbers, words, labels, strict=True):
            writer.writerow([*map("{:.6f}".format, row), word, label])


def write_series(path: Path, rows: int) -> None:
    """Write a CSV file of seven noisy waves, one row per hour."""
    rng = np.random.default_rng(0)
    hours = np.arange(rows)
    waves = np.stack([np.sin(hours / (3 + i)) for i in range(7)], axis=1) + 0.1 * rng.normal(size=(rows, 7))
    stamps = np.datetime64("2020-01-01T00") + hours.astype("timedelta64[h]")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["date", *(f"y{i}" for i in range(7))])
        for stamp, row in zip(stamps, waves, strict=True):
            writer.writerow([str(stamp).replace("T", " ") + ":00:00", *map("{:.6f}".format, row)])


class Epochs:
    """Epochs of ptrun's batches, one per call."""

    def __init__(self, batches: Loader) -> None:
        self.batches, self.number = batches, 0

    def __call__(self) -> float:
        """Seconds per sample of the next epoch."""
        self.number += 1
        start = time.perf_counter()
        for _ in self.batches.epoch(self.number):
            pass
        return (time.perf_counter() - start) / len(self.batches.split)


def by_loader(inputs: Tensor, targets: Tensor) -> float:
    """Seconds per sample of a tutorial's DataLoader."""
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=BATCH, shuffle=True)
    start = time.perf_counter()
    for _ in loader:
        pass
    return (time.perf_counter() - start) / len(targets)


def by_csv_module(path: Path) -> float:
    """Seconds per row of Python's csv module with a float for each cell of numbers."""
    start = time.perf_counter()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    np.array([[float(cell) for cell in row[1:8]] for row in rows])
    return (time.perf_counter() - start) / len(rows)


def timed(call: Callable[[], object], rows: int) -> float:
    """Seconds per row of one call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) / rows


def measure(report: Report, dataset: str, path: Path, rows: int, rounds: int, *settings: str) -> None:
    """Measure the batches of one file and the time to read it."""
    overrides = (f"dataset={dataset}", f"dataset.path={path}", f"train.batch_size={BATCH}", "device=cpu", *settings)
    run = _run.built(*overrides)
    config, batches = run.config, run.ctx.train
    split = batches.split
    inputs = torch.stack([split.read(index) for index in range(len(split))])
    items = "rows" if dataset == "table" else "windows"
    cases: dict[str, Case] = {
        "tutorial": partial(by_loader, inputs, split.targets),
        f"ptrun dataset={dataset}": Epochs(batches),
    }
    times = alternate(cases, rounds)
    kind = "" if dataset == "table" else f" of {WINDOW} rows and 7 columns"
    report.compare(f"batches of {BATCH} from {len(split):,} {items}{kind}", times, per_second(items), "tutorial")
    reading: dict[str, Case] = {
        "csv module and float()": partial(by_csv_module, path),
        f"ptrun dataset={dataset}": partial(
            timed, partial(registry.datasets.build, dataset, config.dataset.settings), rows
        ),
    }
    times = alternate(reading, rounds)
    report.compare(
        f"the file of {rows:,} rows (ptrun: checked, split and standardized as well)",
        times,
        per_second("rows"),
        "csv module and float()",
    )


def main() -> None:
    """Measure and print the results."""
    options = read(parser(__doc__.splitlines()[0], rounds=5, threads=1))
    rows = 1_000 if options.quick else 20_000
    if options.threads:
        torch.set_num_threads(options.threads)
    report = Report("tables and series", machine_line(options.threads), options.quick)
    with tempfile.TemporaryDirectory(prefix="tables-bench-") as name:
        table, series = Path(name) / "table.csv", Path(name) / "series.csv"
        write_table(table, rows)
        write_series(series, rows)
        threads = f"device.threads={options.threads or 'auto'}"
        measure(report, "table", table, rows, options.rounds, "dataset.target=label", threads)
        forecast = (f"dataset.window={WINDOW}", f"dataset.horizon={HORIZON}", "model=lstm", "model.hidden_features=8")
        measure(report, "series", series, rows, options.rounds, *forecast, threads)
    report.note("ptrun cuts the windows out of the series for each batch; the tutorial keeps all of them in memory.")
    report.write(options.csv)


if __name__ == "__main__":
    main()
