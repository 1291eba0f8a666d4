"""The Pareto front."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support import svg_texts

from ptrun.reports.sweep.data import Objectives, SweepData
from ptrun.reports.sweep.pareto import draw


def test_the_front_with_the_names_of_its_jobs(objectives: SweepData, tmp_path: Path):
    texts = svg_texts(draw(objectives, tmp_path / "a.svg") or tmp_path)
    assert "3 of 4 runs are beaten by no other (the Pareto front)" in texts
    assert {"0", "1", "3", "parameters", "validation accuracy"} <= set(texts)
    assert "2" not in texts
    assert any(text.endswith("Better is up and to the left.") for text in texts)


def test_three_objectives_have_two_panels(objectives: SweepData, tmp_path: Path):
    values = {"0": (0.9, 10.0, 0.4), "1": (0.8, 5.0, 0.2)}
    names = ["val/accuracy", "training_seconds", "val/loss"]
    three = Objectives(names, [True, False, False], values, ["0", "1"])
    texts = svg_texts(draw(replace(objectives, objectives=three), tmp_path / "a.svg") or tmp_path)
    assert {"training time", "validation loss"} <= set(texts)


def test_one_objective_gives_none(grid: SweepData, tmp_path: Path):
    assert draw(grid, tmp_path / "a.svg") is None
