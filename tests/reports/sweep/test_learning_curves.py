"""The curves of all jobs, named by the most important setting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support import svg_texts

from ptrun.reports.sweep.data import Axis, Curve, SweepData
from ptrun.reports.sweep.learning_curves import draw


def test_few_values_are_named_at_their_curves(grid: SweepData, tmp_path: Path):
    texts = svg_texts(draw(grid, tmp_path / "a.svg") or tmp_path)
    assert "Validation accuracy of 18 runs by epoch" in texts
    assert {"0.0001", "0.01", "1"} <= set(texts)


def test_many_values_have_a_scale_and_pruned_runs_a_cross(search: SweepData, tmp_path: Path):
    texts = svg_texts(draw(search, tmp_path / "a.svg") or tmp_path)
    assert "0.0001" in texts
    assert any("a cross ends a run that was pruned" in text for text in texts)


def test_runs_without_an_axis(grid: SweepData, tmp_path: Path):
    alone = replace(grid, axes=[], importance=None)
    assert "Validation accuracy of 18 runs by epoch" in svg_texts(draw(alone, tmp_path / "a.svg") or tmp_path)


def test_many_words_have_no_colors(grid: SweepData, tmp_path: Path):
    words = [f"word{number}" for number in range(9)]
    many = replace(grid, axes=[Axis("model", words)], importance=None)
    assert not any("Colors" in text for text in svg_texts(draw(many, tmp_path / "a.svg") or tmp_path))


def test_long_curves_of_many_runs_stay_small(grid: SweepData, tmp_path: Path):
    epochs = list(range(1, 2001))
    curves = [Curve(str(i), {}, epochs, [1 - 1 / (e + i) for e in epochs], False, False) for i in range(30)]
    path = draw(replace(grid, curves=curves), tmp_path / "a.svg")
    assert path is not None
    assert path.stat().st_size < 100_000


def test_single_epochs_give_none(grid: SweepData, tmp_path: Path):
    assert draw(replace(grid, curves=[Curve("0", {}, [1], [0.5], False, True)]), tmp_path / "a.svg") is None


def test_words_are_no_formulas(grid: SweepData, tmp_path: Path):
    words = ["$a_{", "b$"]
    curves = [Curve(word, {"plugin.$x_{$": word}, [1, 2], [0.5, 0.6], False, False) for word in words]
    data = replace(grid, axes=[Axis("plugin.$x_{$", words)], curves=curves)
    assert {*words, "plugin.$x_{$"} <= set(svg_texts(draw(data, tmp_path / "a.svg") or tmp_path))
