"""The runs that no other run beats in all objectives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ptrun.runs.objectives import is_higher_better, mean_values, objective_values, pareto_front

NAMES = ("val/accuracy", "parameters")


def run(folder: Path, name: str, accuracy: float | None, parameters: int) -> dict[str, str]:
    (folder / name).mkdir()
    records = [{"epoch": 1, "val/accuracy": 0.99, "step": 1}, {"epoch": 2, "val/accuracy": accuracy, "step": 2}]
    (folder / name / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / name / "summary.json").write_text(json.dumps({"best_epoch": 2, "parameters": parameters}))
    return {"job": name, "state": "done"}


def test_directions():
    assert is_higher_better("val/accuracy")
    assert not any(is_higher_better(name) for name in ("val/rmse", "val/loss", "parameters"))


def test_the_front(tmp_path: Path):
    rows = [
        run(tmp_path, "0", 0.9, 100), run(tmp_path, "1", 0.8, 10), run(tmp_path, "2", 0.7, 50),
        run(tmp_path, "3", 0.9, 100), run(tmp_path, "4", None, 1),
    ]  # fmt: skip
    assert objective_values(tmp_path / "0", NAMES) == [0.9, 100.0]
    assert pareto_front(rows, tmp_path, NAMES) == [("0", [0.9, 100.0]), ("3", [0.9, 100.0]), ("1", [0.8, 10.0])]
    assert pareto_front([{**row, "state": "pruned"} for row in rows], tmp_path, NAMES) == []
    assert mean_values([tmp_path / name for name in "014"], NAMES) == pytest.approx([0.85, 55.0])
    assert mean_values([tmp_path / "4"], NAMES) is None
