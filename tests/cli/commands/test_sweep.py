"""`ptrun sweep` shows every job of a sweep without importing torch, as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, make_sweep

from ptrun.runs.folder import RunDir

Call = Callable[..., Ended]


@pytest.fixture
def sweep(folder: Path) -> Path:
    """Two configurations with two seeds; one job has not begun."""
    path = folder / "outputs" / "2026-01-01" / "10-00-00-sweep-abcd"
    jobs = []
    for number, (rate, seed, value) in enumerate([(0.1, 0, 0.5), (0.1, 1, 0.7), (0.2, 0, 0.9), (0.2, 1, None)]):
        jobs.append({"job": str(number), "id": str(number), "overrides": [f"optimizer.lr={rate}", f"seed={seed}"]})
        if value is not None:
            run = RunDir(path / str(number))
            run.path.mkdir(parents=True)
            run.write_status("done")
            run.write_json(
                "summary.json",
                {
                    "monitor": "val/accuracy", "best_value": value, "higher_is_better": True,
                    "test": {"loss": 1.0, "accuracy": value}, "training_seconds": 2.0,
                },
            )  # fmt: skip
    (path / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    return path


def test_the_newest_sweep_as_tables(sweep: Path, ptrun: Call):
    ended = ptrun("sweep")
    assert ended.code == 0, ended.err
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert f"folder {sweep.relative_to(Path.cwd())}" in lines
    assert "jobs 4: 3 done, 1 planned" in lines
    assert "2 optimizer.lr=0.2 seed=0 90.00 % 90.00 % 1.0000 2.00 s done" in lines
    assert "optimizer.lr=0.1 2 of 2 60.00 ± 14.14 % 0.00 to 100.00 % 60.00 ± 14.14 % 1.0000 ± 0" in lines
    assert ptrun("sweep", str(sweep)).out == ended.out.replace(str(sweep.relative_to(Path.cwd())), str(sweep))


def test_as_json_and_as_csv(sweep: Path, ptrun: Call):
    document = json.loads(ptrun("sweep", "--json").out)
    assert [job["job"] for job in document["jobs"]] == ["2", "1", "0", "3"]
    assert [place["settings"] for place in document["configurations"]] == ["optimizer.lr=0.2", "optimizer.lr=0.1"]
    assert document["configurations"][1]["mean"] == pytest.approx(0.6)
    half = 12.7062 * 0.1  # Student's t of one degree of freedom, 95 %, times the standard error
    assert document["configurations"][1]["confidence_interval_95"] == pytest.approx([0.6 - half, 0.6 + half], abs=1e-4)
    assert document["configurations"][0]["confidence_interval_95"] is None
    rows = list(csv.DictReader(io.StringIO(ptrun("sweep", "--csv").out)))
    assert [(row["job"], row["state"], row["seed"]) for row in rows][-1] == ("3", "planned", "1")
    assert rows[0]["val/accuracy"] == "0.9"
    assert ptrun("sweep", "--csv", "--json").code == 2


def test_as_a_page(sweep: Path, ptrun: Call):
    ended = ptrun("sweep", "--html")
    assert (ended.code, ended.out) == (0, f"{sweep.relative_to(Path.cwd()) / 'sweep.html'}\n"), ended.err
    assert "0.00 to 100.00 %" in (sweep / "sweep.html").read_text()
    assert (sweep / "plots" / "by_setting.svg").is_file()
    assert "--csv and --html exclude each other" in ptrun("sweep", "--csv", "--html").err


def test_several_objectives(folder: Path, ptrun: Call):
    make_sweep(folder / "sw", ["model=a", "model=b"], [0.5, 0.6], objectives=["val/accuracy", "parameters"])
    assert "1 of 2 runs is beaten by no other in all objectives" in " ".join(ptrun("sweep", "sw").out.split())


def test_what_is_no_sweep(folder: Path, ptrun: Call):
    ended = ptrun("sweep")
    assert ended.code == 4
    assert "no sweep" in ended.err
    (folder / "run").mkdir()
    assert "this is not the folder of a sweep" in ptrun("sweep", "run").err
    assert ptrun("sweep", "--help").code == 0


def test_torch_is_not_imported(sweep: Path, process: Call):
    (sweep.parent.parent.parent / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    ended = process("sweep", PYTHONPATH=f"{Path.cwd()}:{Path(__file__).parents[3]}")
    assert ended.code == 0, ended.err
