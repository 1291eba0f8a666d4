"""Start-up: time from process start to the first training step, and of commands that do not train.

python benchmarks/startup.py [--quick] [--csv FILE] [--rounds N] [--threads N]
"""

from __future__ import annotations

import tempfile
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
    report.compare("wall time of the process", times, SECONDS, "tutorial script, to the first step")
    report.note("Both train the same convolutional network on the digits; the process ends after its first step.")
    report.write(options.csv)


if __name__ == "__main__":
    main()
