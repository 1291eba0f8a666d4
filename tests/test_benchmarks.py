"""Each script of `benchmarks/` runs, prints its tables and writes the same rows as CSV."""

from __future__ import annotations

import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, train

SCRIPTS = {  # texts that its output must contain
    "augment": ["random_crop", "transform=augment"],
    "checkpoints": ["one after each epoch", "seconds to verify 10 MB"],
    "convnet": ["tutorial", "best by hand", "ptrun bf16", "later epochs", "ptrun streamed, 2 workers"],
    "gpu": [
        "parity with the tutorial loop",
        "stopped after 25 of 40 steps",
        "ptrun compile=step, steps alone",
        "resnet18",
        "cifar10_fast",
    ],
    "images": [
        "decode only, Pillow",
        "tutorial, 2 workers",
        "ptrun, 2 workers",
        "one training epoch",
        "ptrun, decode=scaled, 2 workers",
    ],
    "kill": ["one after each step", "steps lost", "damaged files"],
    "memory": ["tutorial script", "ptrun train", "ptrun eval"],
    "predict": ["ptrun predict, 2 workers", "reading alone, pandas", "peak resident memory"],
    "search": ["random", "ptrun, tpe and asha", "Optuna, tpe and asha", "epochs / those of random trials"],
    "small_step": ["tuned by hand", "ptrun compile=none", "time of ptrun / tutorial"],
    "startup": ["ptrun train, to the first step", "ptrun --help", "ptrun train, a mistake"],
    "sweep": ["hydra/launcher=basic", "ptrun train, a process for each", "until the first of 200 jobs starts"],
    "read_table": ["ptrun, numbers as float64", "peak resident memory", "memory of ptrun / pyarrow"],
    "tables_series": ["rows/s", "windows/s", "ptrun dataset=series"],
}


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one script as a process in an empty folder."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
        timeout=900,
        check=False,
    )


def test_every_script_is_named_here():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if not path.name.startswith("_")}
    assert scripts == {*SCRIPTS, "equal_numbers"}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_quick_run_prints_its_tables(folder: Path, script: str):
    device = ["--device", "cpu"] if script == "gpu" else []
    done = run(folder, script, "--quick", "--csv", "rows.csv", *device)
    assert done.returncode == 0, done.stderr
    machine = done.stdout.splitlines()[1]
    assert "torch" in machine
    assert "threads 1" in machine
    assert "whose numbers mean nothing" in done.stdout
    assert [text for text in SCRIPTS[script] if text not in done.stdout] == []
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(float(row["value"]) >= 0 and row["machine"] == machine for row in rows)
    assert sorted(path.name for path in folder.iterdir()) == ["rows.csv"]


@pytest.mark.slow
def test_without_a_gpu_the_gpu_script_says_so(folder: Path):
    done = run(folder, "gpu")
    assert done.returncode == 0, done.stderr
    assert "no CUDA device" in done.stdout


@pytest.mark.slow
def test_equal_numbers_finds_a_version_equal_to_itself(folder: Path):
    ended = run(folder, "equal_numbers", str(ROOT), "--only", "captured step")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout == "equal    captured step\n"


def test_equal_numbers_names_what_differs(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    equal_numbers = importlib.import_module("equal_numbers")
    common = ("model=simplenet", "dataset=iris", "train.epochs=1")
    runs = [train(*common, f"optimizer.lr={lr}", quiet=True).run_dir for lr in (0.1, 0.1, 0.2)]
    assert list(equal_numbers.differences(*runs[:2])) == []
    assert {"last.pt: model", "best.pt: model", "metrics.csv"} <= set(equal_numbers.differences(*runs[1:]))
    required = equal_numbers.Configuration((), at_least={"rollbacks": 1}, captured=False)
    assert list(equal_numbers.missing_evidence(required, runs[0])) == [
        "rollbacks is 0, should be at least 1",
        "the step was captured",
    ]
