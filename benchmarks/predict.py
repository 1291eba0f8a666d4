"""Predictions for new files: photos against decoding them, table rows against reading them, and memory.

python benchmarks/predict.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from _processes import HERE, Usage, run
from _table import Case, Report, Unit, alternate, machine_line, parser, per_second, read

READING = HERE / "_reading.py"
MIB = Unit("MiB", lambda size: size / 2**20)
COLOURS = ("red", "green", "blue", "black")
Command = Callable[[int], Usage]  # from a number of inputs to what the process used


def main() -> None:
    """Measure and print the results."""
    options = read(parser(__doc__.splitlines()[0], rounds=3, threads=1))
    report = Report("predictions for new files", machine_line(options.threads), options.quick)
    with tempfile.TemporaryDirectory(prefix="predict-bench-") as name:
        folder = Path(name)
        photos = (20, 60) if options.quick else (1000, 5000)
        rows = (500, 2000) if options.quick else (200_000, 1_000_000)
        _measure_photos(report, folder, photos, options.rounds, options.threads)
        _measure_rows(report, folder, rows, options.rounds, options.threads)
    report.write(options.csv)


def _measure_photos(report: Report, folder: Path, counts: tuple[int, int], rounds: int, threads: int | None) -> None:
    for count in counts:
        run((READING, "make-photos", f"photos-{count}", str(count)), folder, threads)
    # A network that computes next to nothing: what is measured is how the photos come to it.
    network = ("model=simplenet", "model.hidden_features=[4]")
    train = ("train", f"dataset.root=photos-{counts[0]}", "dataset=image_folder", *network)
    settings = ("train.max_steps=2", "transform=resized", "plots=false", "output_dir=of-photos")
    _write_transform(folder)
    run(("-m", "ptrun", *train, *settings), folder, threads)

    def predict(count: int, workers: int) -> Usage:
        arguments = ("predict", "of-photos/latest", f"photos-{count}", f"train.num_workers={workers}")
        return run(("-m", "ptrun", *arguments, "output=p.csv", "overwrite=true", "-q"), folder, threads)

    def decode(count: int, workers: int, how: str = "photos") -> Usage:
        return run((READING, how, f"photos-{count}", str(workers)), folder, threads)

    commands: dict[str, Command] = {
        "decode and resize alone, 2 processes": partial(decode, workers=2),
        "decode and resize by Pillow, 2 processes": partial(decode, workers=2, how="photos-pillow"),
        "ptrun predict, 2 workers": partial(predict, workers=2),
        "decode and resize alone, 1 process": partial(decode, workers=0),
        "ptrun predict, no worker": partial(predict, workers=0),
    }
    measured = _measured(commands, counts, rounds)
    baseline = next(iter(commands))
    report.compare("JPEGs of 500x375 scaled to 224x224", measured.wall, per_second("photos"), baseline)
    report.compare("the same in processor time", measured.cpu, per_second("photos"), baseline)
    report.accept(measured.wall, "ptrun predict, 2 workers", "decode and resize by Pillow, 2 processes", 1 / 0.9)
    for workers, one in (("2 workers", "2 processes"), ("no worker", "1 process")):
        report.accept(measured.wall, f"ptrun predict, {workers}", f"decode and resize alone, {one}", 1 / 0.9)
    _report_memory(report, "photos", counts, measured.peaks, "ptrun predict, 2 workers")


def _measure_rows(report: Report, folder: Path, counts: tuple[int, int], rounds: int, threads: int | None) -> None:
    for count in counts:
        _write_rows(folder / f"rows-{count}.csv", count)
    train = ("train", "dataset=table", f"dataset.path=rows-{counts[0]}.csv", "dataset.target=kind")
    run(("-m", "ptrun", *train, "train.max_steps=2", "plots=false", "output_dir=of-rows"), folder, threads)

    def predict(count: int) -> Usage:
        arguments = ("predict", "of-rows/latest", f"rows-{count}.csv", "output=p.csv", "overwrite=true", "-q")
        return run(("-m", "ptrun", *arguments), folder, threads)

    def only_read(count: int, how: str) -> Usage:
        return run((READING, how, f"rows-{count}.csv"), folder, threads)

    commands: dict[str, Command] = {
        "reading alone, csv module and float()": partial(only_read, how="csv"),
        "reading alone, ptrun's reader": partial(only_read, how="rows"),
        "reading alone, pandas": partial(only_read, how="pandas"),
        "ptrun predict": predict,
    }
    measured = _measured(commands, counts, rounds)
    baseline = next(iter(commands))
    report.compare("rows of a CSV file, 8 numbers and 2 texts", measured.wall, per_second("rows"), baseline)
    report.compare("the same in processor time", measured.cpu, per_second("rows"), baseline)
    for case in ("reading alone, csv module and float()", "reading alone, pandas"):
        report.accept(measured.wall, "ptrun predict", case, 2.0)
    _report_memory(report, "rows", counts, measured.peaks, "ptrun predict")


@dataclass
class Measured:
    """Wall and processor seconds per input, of each round, between the smaller and the larger number of inputs.

    Start-up is in neither. peaks: of memory, by case and number of inputs.
    """

    wall: dict[str, list[float]]
    cpu: dict[str, list[float]]
    peaks: dict[tuple[str, int], int]


def _measured(commands: dict[str, Command], counts: tuple[int, int], rounds: int) -> Measured:
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[tuple[str, int], int] = {}

    def seconds_per_input(name: str) -> float:
        few, many = (commands[name](count) for count in counts)
        peaks[name, counts[0]], peaks[name, counts[1]] = few.peak_bytes, many.peak_bytes
        cpu[name].append(_per_input(few.cpu_seconds, many.cpu_seconds, counts))
        return _per_input(few.seconds, many.seconds, counts)

    cases: dict[str, Case] = {name: partial(seconds_per_input, name) for name in commands}
    return Measured(alternate(cases, rounds, warm_up=False), cpu, peaks)


def _per_input(few: float, many: float, counts: tuple[int, int]) -> float:
    return max(1e-9, many - few) / (counts[1] - counts[0])


def _report_memory(
    report: Report, kind: str, counts: tuple[int, int], peaks: dict[tuple[str, int], int], name: str
) -> None:
    few, many = peaks[name, counts[0]], peaks[name, counts[1]]
    for count, peak in zip(counts, (few, many), strict=True):
        report.number("peak resident memory", f"{name}, {count:,} {kind}", MIB, peak)
    report.check(f"memory for {counts[1]:,} / {counts[0]:,} {kind}", many / few, 1.1)


def _write_transform(folder: Path) -> None:
    (folder / "conf" / "transform").mkdir(parents=True)
    items = "[{resize: {size: [224, 224]}}, {normalize: {mean: imagenet, std: imagenet}}]"
    text = f"name: resized\ntrain: {items}\neval: {items}\n"
    (folder / "conf" / "transform" / "resized.yaml").write_text(text, encoding="utf-8")


def _write_rows(path: Path, count: int) -> None:
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        print(",".join([*(f"x{i}" for i in range(8)), "colour", "place", "kind"]), file=file)
        for _ in range(count):
            numbers = [f"{rng.gauss(0, 1):.4f}" for _ in range(8)]
            kind = "yes" if float(numbers[0]) > 0 else "no"
            print(",".join([*numbers, rng.choice(COLOURS), rng.choice(COLOURS), kind]), file=file)


if __name__ == "__main__":
    main()
