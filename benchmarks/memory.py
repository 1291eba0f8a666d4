"""Memory: peak resident memory of processes that train and evaluate on the digits.

python benchmarks/memory.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from _processes import TUTORIAL, run
from _table import Case, Report, Unit, alternate, machine_line, parser, read

MIB = Unit("MiB", lambda size: size / 2**20)


def main() -> None:
    """Measure and print the results."""
    options = read(parser(__doc__.splitlines()[0], rounds=3, threads=1))
    epochs = 1 if options.quick else 5
    report = Report("peak resident memory", machine_line(options.threads), options.quick)

    def peak(arguments: tuple[str | Path, ...], folder: Path) -> float:
        return run(arguments, folder, options.threads).peak_bytes

    with tempfile.TemporaryDirectory(prefix="memory-bench-") as name:
        train = ("-m", "ptrun", "train", f"train.epochs={epochs}")
        # In another folder, because `outputs/latest` must keep pointing to a run with a checkpoint.
        evaluate = ("-m", "ptrun", "eval", "checkpoint=outputs/latest", "output_dir=evaluations")
        run(train, Path(name), options.threads)  # writes a checkpoint, so that `eval` can be measured first
        cases: dict[str, Case] = {
            "tutorial script": partial(peak, (TUTORIAL, str(epochs)), Path(name)),
            "ptrun train": partial(peak, train, Path(name)),
            "ptrun train, device.compile=none": partial(peak, (*train, "device.compile=none"), Path(name)),
            "ptrun eval": partial(peak, evaluate, Path(name)),
            "python -c 'import torch'": partial(peak, ("-c", "import torch"), Path(name)),
        }
        peaks = alternate(cases, options.rounds, warm_up=False)
    report.compare("the same convolutional network on the digits (ratios are of memory)", peaks, MIB, "tutorial script")
    report.note("ptrun evaluates, writes metrics and draws plots in the same process; the tutorial script does not.")
    report.write(options.csv)


if __name__ == "__main__":
    main()
