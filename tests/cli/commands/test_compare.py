"""`ptrun compare` prints what differs, as tables, as JSON and as CSV, without importing torch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support import Ended, make_sweep, run_config

Call = Callable[..., Ended]


@pytest.fixture
def sweep(folder: Path) -> Path:
    """Two jobs that differ in their learning rate."""
    path = make_sweep(folder / "sw", ["optimizer.lr=0.1", "optimizer.lr=0.02"], [0.5, 0.75])
    for job, rate in (("0", 0.1), ("1", 0.02)):
        (path / job / "resolved.yaml").write_text(yaml.safe_dump(run_config(f"optimizer.lr={rate}").to_dict()))
    return path


def test_as_tables(sweep: Path, ptrun: Call):
    ended = ptrun("compare", "sw/0", "sw/1")
    assert ended.code == 0, ended.err
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "run 1 sw/0 (done)" in lines
    assert "optimizer.lr 0.1 0.02" in lines
    assert "val/accuracy 50.00 % 75.00 % +25.00 points" in lines
    assert "environment: no difference" in lines
    three = ptrun("compare", "sw/0", "sw/1", "sw/0")
    assert "optimizer.lr 0.1 0.02 0.1" in " ".join(three.out.split())


def test_as_json_and_as_csv(sweep: Path, ptrun: Call):
    document = json.loads(ptrun("compare", "sw/0", "sw", "--json").out)
    assert document["settings"] == {"optimizer.lr": [0.1, 0.02]}
    assert document["runs"][1] == {"run": str(sweep / "1"), "state": "done"}
    rows = list(csv.DictReader(io.StringIO(ptrun("compare", "sw/0", "sw/1", "--csv").out)))
    assert {row["key"]: row[str(sweep / "1")] for row in rows}["val/accuracy"] == "0.75"
    assert "--json and --csv exclude each other" in ptrun("compare", "--csv", "--json").err


def test_mistakes(sweep: Path, ptrun: Call):
    assert (ptrun("compare").code, ptrun("compare", "sw/0", "sw/7").code) == (2, 4)
    assert ptrun("compare", "--help").code == 0


def test_torch_is_not_imported(sweep: Path, process: Call):
    (sweep.parent / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    ended = process("compare", "sw/0", "sw/1", PYTHONPATH=f"{Path.cwd()}:{Path(__file__).parents[3]}")
    assert ended.code == 0, ended.err
