"""Compare two versions of ptrun: do they compute the same numbers, bit for bit?

python benchmarks/equal_numbers.py OLD [NEW] [--only TEXT]

OLD and NEW are folders that hold a checkout, or git commits of this repository; NEW defaults to this checkout. Both
versions train each of the 14 configurations. These must be equal: the checkpoints (weights, averaged weights, states of
optimizer, scheduler and scaler, random states, the progress that both note), metrics.csv without the columns that hold
times, predictions.csv and the test metrics. Together the configurations cover each kind of data, model, optimizer step
and precision, and 14 optimizers. Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
FAILING_LOSSES = f"plugins=[{Path(__file__).with_name('_failing_losses.py')}]"
TIMES = ("seconds", "samples_per_second", "data_wait_percent")  # columns of metrics.csv
UNCOMPARED = (
    "config",
    "device",
    "threads",
    "versions",
)  # keys of a checkpoint: they hold paths, or describe the machine
COMMON = ("train.epochs=2", "plots=false", "device.threads=1", "seed=3")


@dataclass(frozen=True)
class Configuration:
    """Settings to train with, and values of summary.json that show that the intended kind of step was taken."""

    overrides: tuple[str, ...]
    at_least: dict[str, int] = field(default_factory=dict)
    captured: bool | None = None  # whether the step has to be a captured one; None: either


CONFIGURATIONS = {
    "captured step": Configuration(
        ("model=simplenet", "optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9"), captured=True
    ),
    "plain step": Configuration(
        ("model=convnet", "device.compile=none", "optimizer=adamw", "scheduler=cosine"), captured=False
    ),
    "averaged and clipped": Configuration(
        # A decay below the first of a warm-up, which older versions do not have.
        ("model=regularized", "train.ema_decay=0.1", "train.clip_norm=1", "transform=basic", "optimizer=asgd")
    ),
    "closure, accumulated": Configuration(
        ("model=simplenet", "optimizer=lbfgs", "optimizer.max_iter=3", "train.grad_accumulation=2")
    ),
    "batches in parts": Configuration(
        (
            "model=convnet",
            "train.on_oom=halve",
            "train.grad_accumulation=3",
            "optimizer=adagrad",
            FAILING_LOSSES,
            "loss=limited_batch",
            "loss.max_samples=16",
        ),
        at_least={"batch_parts": 2},
    ),
    "skipped steps": Configuration(
        (
            "model=transformer",
            "train.on_nonfinite=skip",
            "optimizer=rmsprop",
            "scheduler=one_cycle",
            FAILING_LOSSES,
            "loss=nan_at_times",
            "loss.every=20",
        ),
        at_least={"skipped_steps": 1},
    ),
    "rolled back steps": Configuration(
        (
            "model=attention",
            "train.on_nonfinite=rollback",
            "optimizer=nadam",
            "checkpoint.every_steps=7",
            FAILING_LOSSES,
            "loss=nan_at_times",
            "loss.every=35",
        ),
        at_least={"rollbacks": 1},
    ),
    "bf16": Configuration(("model=convnet", "device.precision=bf16", "transform=augment", "optimizer=muon")),
    "fp16": Configuration(("model=simplenet", "device.precision=fp16", "optimizer=adam", "train.clip_value=0.5")),
    "table, classes": Configuration(
        (
            "dataset=breast_cancer",
            "model=resnet_table",
            "loss=cross_entropy",
            "loss.class_weights=balanced",
            "optimizer=rprop",
        )
    ),
    "table, numbers": Configuration(
        ("dataset=diabetes", "model=simplenet", "optimizer=adafactor", "scheduler=plateau", "loss=huber")
    ),
    "series": Configuration(
        ("dataset=series", "model=lstm", "train.max_steps=60", "optimizer=radam", "scheduler=exponential")
    ),
    "photos, two workers": Configuration(
        (
            "dataset=image_folder",
            "dataset.root=photos",
            "model=resnet_cifar",
            "train.num_workers=2",
            "transform.train=[{random_resized_crop: {size: 32}}, horizontal_flip, mixup, normalize]",
            "transform.eval=[{resize: {size: 36}}, {center_crop: {size: 32}}, normalize]",
            "train.batch_size=8",
            "optimizer=adadelta",
        )
    ),
    "sequences": Configuration(
        (
            "dataset=sequences",
            "dataset.path=waves.ts",
            "model=fcn",
            "optimizer=adamax",
            "scheduler=multistep",
            "train.batch_size=16",
        )
    ),
}


def main() -> None:
    """Train all configurations with both versions and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", help="a folder with a checkout, or a commit")
    parser.add_argument("new", nargs="?", default=str(ROOT), help="the same; default: this checkout")
    parser.add_argument("--only", default="", metavar="TEXT", help="only configurations whose name contains this text")
    options = parser.parse_args()
    selected = {name: item for name, item in CONFIGURATIONS.items() if options.only in name}
    if not selected:
        parser.error(f"no configuration's name contains {options.only!r}; there are: {', '.join(CONFIGURATIONS)}")
    with tempfile.TemporaryDirectory(prefix="equal-numbers-") as folder:
        old, new = (check_out(getattr(options, name), Path(folder) / name) for name in ("old", "new"))
        work = Path(folder) / "work"
        work.mkdir()
        write_inputs(work)
        unequal = [name for name, configuration in selected.items() if not compare(name, configuration, old, new, work)]
    sys.exit(1 if unequal else 0)


def compare(name: str, configuration: Configuration, old: Path, new: Path, work: Path) -> bool:
    """Train with both versions, print the result, and return whether everything is equal."""
    runs = [train(version, work, configuration.overrides) for version in (old, new)]
    problems = [*missing_evidence(configuration, runs[0]), *differences(*runs)]
    print(f"{'DIFFERS' if problems else 'equal':<8} {name}{': ' if problems else ''}{', '.join(problems)}", flush=True)
    return not problems


def check_out(version: str, target: Path) -> Path:
    """Return the folder of a version. A commit is written to `target`."""
    if Path(version).is_dir():
        return Path(version).resolve()
    target.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", version], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True)
    return target


def write_inputs(folder: Path) -> None:
    """Write 48 photos of two classes, and 80 labelled sequences."""
    random = np.random.default_rng(0)
    for number in range(48):
        label = ("dark", "light")[number % 2]
        pixels = random.integers(0, 128, (40 + number % 5, 44, 3)) + 127 * (number % 2)
        (folder / "photos" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / label / f"{number:02}.png")
    lines = ["@problemName waves", "@univariate true", "@equalLength true", "@classLabel true up down", "@data"]
    for number in range(80):
        slope = 1 if number % 2 else -1
        values = slope * np.linspace(-1, 1, 24) + random.normal(0, 0.3, 24)
        lines.append(",".join(f"{value:.4f}" for value in values) + f":{'up' if slope > 0 else 'down'}")
    (folder / "waves.ts").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train(version: Path, work: Path, overrides: Sequence[str]) -> Path:
    """Train with one version and return the run folder."""
    output = Path(tempfile.mkdtemp(dir=work)) / "outputs"
    environment = {**os.environ, "PYTHONPATH": str(version), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ptrun", "train", *COMMON, *overrides, f"output_dir={output}"]
    process = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(f"{version}: {' '.join(command[2:])}\n{process.stdout[-2000:]}{process.stderr[-2000:]}")
    return (output / "latest").resolve()


def missing_evidence(configuration: Configuration, run_dir: Path) -> Iterator[str]:
    """Yield what should have happened in a run and did not, so that the comparison would miss what it is for."""
    summary = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
    for name, least in configuration.at_least.items():
        if summary[name] < least:
            yield f"{name} is {summary[name]}, should be at least {least}"
    decisions = json.loads((run_dir / "receipt.json").read_text(encoding="utf-8"))["decisions"]
    captured = any(item["setting"] == "device.compile" and item["used"].startswith("step") for item in decisions)
    if configuration.captured not in (None, captured):
        yield f"the step was {'captured' if captured else 'not captured'}"


def differences(old: Path, new: Path) -> Iterator[str]:
    """Yield the parts of two run folders that are not equal."""
    for name in ("last.pt", "best.pt"):
        states = [torch.load(run / "checkpoints" / name, weights_only=True) for run in (old, new)]
        progress = [state["progress"] for state in states]
        known = progress[0].keys() & progress[1].keys() - {"seconds"}  # either version may note more than the other
        for state in states:
            state["progress"] = {key: state["progress"][key] for key in sorted(known)}
        keys = {key: None for state in states for key in state if key not in UNCOMPARED}
        yield from (f"{name}: {key}" for key in keys if not same(states[0].get(key), states[1].get(key)))
    if metrics_rows(old) != metrics_rows(new):
        yield "metrics.csv"
    if (old / "test" / "predictions.csv").read_bytes() != (new / "test" / "predictions.csv").read_bytes():
        yield "predictions.csv"
    if test_metrics(old) != test_metrics(new):
        yield "test metrics"


def same(one: Any, other: Any) -> bool:
    """Return whether two nested containers are equal, tensors bit for bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and raw_bytes(one) == raw_bytes(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def raw_bytes(tensor: Tensor) -> bytes:
    """Return the memory of a tensor in logical order."""
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def metrics_rows(run_dir: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv without measured times."""
    with (run_dir / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def test_metrics(run_dir: Path) -> str:
    """Return the test metrics as text, which is equal for NaN too."""
    return json.dumps(json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))["test"])


if __name__ == "__main__":
    main()
