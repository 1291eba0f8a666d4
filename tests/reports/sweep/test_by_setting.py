"""The metric by each setting: lines with spread in a grid, points in a search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support import svg_texts

from ptrun.reports.sweep.by_setting import draw
from ptrun.reports.sweep.data import Axis, Point, SweepData


def test_a_grid_has_named_lines_and_spread(grid: SweepData, tmp_path: Path):
    texts = svg_texts(draw(grid, tmp_path / "a.svg") or tmp_path)
    assert "Validation accuracy by setting: 90.00 % at best" in texts
    assert {"optimizer.lr (log scale)", "model", "0.01", "convnet", "simplenet", "lines: model"} <= set(texts)
    assert any("bars ± 1 standard deviation" in text for text in texts)


def test_a_search_has_points_and_says_which_were_pruned(search: SweepData, tmp_path: Path):
    texts = svg_texts(draw(search, tmp_path / "a.svg") or tmp_path)
    assert any("hollow points were pruned" in text for text in texts)
    assert "model.dropout" in texts


def test_a_diverged_run_does_not_squeeze_the_others(grid: SweepData, tmp_path: Path):
    bad = Point({"optimizer.lr": 1.0, "model": "convnet"}, [1e9], ["99"])
    data = replace(grid, higher_is_better=False, monitor="val/loss", points=[*grid.points, bad])
    texts = svg_texts(draw(data, tmp_path / "a.svg") or tmp_path)
    assert not any("e+0" in text for text in texts)
    assert "1 far worse than the others is not shown" in " ".join(texts)  # of two lines, perhaps


def test_a_bar_that_reaches_below_zero_leaves_a_loss_on_its_logarithmic_axis(tmp_path: Path):
    values = {20.0: [0.0005, 0.0006], 56.0: [0.0005, 0.0115], 110.0: [1.2, 1.3]}
    points = [Point({"model.depth": depth}, losses, [str(depth)]) for depth, losses in values.items()]
    data = SweepData("train/loss", False, [Axis("model.depth", list(values))], points)
    texts = svg_texts(draw(data, tmp_path / "a.svg") or tmp_path)
    assert {"0.001", "0.01", "0.1", "1"} <= set(texts)
    assert "not shown" not in " ".join(texts)


def test_nothing_varied_or_nothing_done(grid: SweepData, tmp_path: Path):
    assert draw(replace(grid, axes=[]), tmp_path / "a.svg") is None
    assert draw(replace(grid, points=[]), tmp_path / "a.svg") is None
