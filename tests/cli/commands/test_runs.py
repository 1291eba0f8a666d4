"""`ptrun runs` lists runs, newest or best first, and those with some settings."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support import Ended, make_sweep, run_config

from ptrun.runs.folder import RunDir

Call = Callable[..., Ended]


def test_runs_are_listed_newest_first(folder: Path, ptrun: Call):
    assert ptrun("runs").code == 2
    for age, name in enumerate(("day/new", "day/sweep/0", "day/old")):
        run = RunDir(folder / "outputs" / name)
        run.path.mkdir(parents=True)
        run.write_status("done" if age else "failed")
        run.write_json("receipt.json", {"overrides": [f"seed={age}"]})
        (run.path / "resolved.yaml").touch()
        os.utime(run.path / "status.json", (1000 - age, 1000 - age))
    run.write_json("summary.json", {"monitor": "val/loss", "best_value": 0.25, "training_seconds": 3.0})
    lines = [" ".join(line.split()) for line in ptrun("runs").out.splitlines()]
    assert lines == [
        "run settings best value time state",
        "outputs/day/new seed=0 - - - failed",
        "outputs/day/sweep/0 seed=1 - - - done",
        "outputs/day/old seed=2 val/loss 0.2500 3.00 s done",
    ]
    short = ptrun("runs", "outputs", "-n", "1").out
    assert short.endswith("2 older runs are not shown; -n 0 shows all.\n")
    assert ptrun("runs", "--help").code == 0


@pytest.fixture
def sweep(folder: Path) -> Path:
    path = make_sweep(folder / "outputs" / "day" / "sw", ["seed=0", "seed=1", "seed=2"], [0.5, 0.75, None])
    for job in "012":
        (path / job / "resolved.yaml").write_text(yaml.safe_dump(run_config(f"seed={job}").to_dict()))
    (folder / "outputs" / "latest").symlink_to(path)
    return path


def names(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:] if line.startswith("outputs/")]


def test_best_first_and_by_setting(sweep: Path, ptrun: Call):
    base = "outputs/day/sw"
    assert names(ptrun("runs", "--best").out) == [f"{base}/1", f"{base}/0", f"{base}/2"]
    ended = ptrun("runs", "seed=0,2", "--best")
    assert names(ended.out) == [f"{base}/0", f"{base}/2"]
    assert ended.out.endswith("2 of 3 runs have these settings.\n")
    assert names(ptrun("runs", "outputs", "state=failed").out) == [f"{base}/2"]
    assert ptrun("runs", "--best", "-n", "1").out.endswith("2 other runs are not shown; -n 0 shows all.\n")
    for place in ("outputs/day", base, "outputs/latest"):
        assert len(ptrun("runs", place).out.splitlines()) == 4


def test_different_metrics_are_not_compared(sweep: Path, ptrun: Call):
    RunDir(sweep / "2").write_json("summary.json", {"monitor": "val/loss", "best_value": 0.1})
    ended = ptrun("runs", "--best")
    assert len(names(ended.out)) == 3
    assert "Runs with different monitored metrics are not compared" in ended.out


def test_as_json_and_as_csv(sweep: Path, ptrun: Call):
    records = json.loads(ptrun("runs", "--best", "--json").out)
    assert [(record["run"][-1], record["value"]) for record in records] == [("1", 0.75), ("0", 0.5), ("2", None)]
    rows = list(csv.DictReader(io.StringIO(ptrun("runs", "seed=1", "--csv").out)))
    assert [(row["settings"], row["value"]) for row in rows] == [("seed=1", "0.75")]


def test_mistakes(sweep: Path, ptrun: Call):
    assert "There is no such folder" in ptrun("runs", "nothing").err
    assert "expected one folder" in ptrun("runs", "outputs", "other").err
    assert "none of the 3 runs in this folder has seed=7" in ptrun("runs", "seed=7").err
    assert "expected int >= 0, got -1" in ptrun("runs", "-n", "-1").err
    assert "exclude each other" in ptrun("runs", "--csv", "--json").err
    assert ptrun("runs", "seeds=1").code == 2
