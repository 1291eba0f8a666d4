"""Two axes: a table of means for a grid, a map for a search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support import svg_texts

from ptrun.reports.sweep.data import SweepData
from ptrun.reports.sweep.heat_map import draw


def test_a_grid_is_a_table_with_values(grid: SweepData, tmp_path: Path):
    texts = svg_texts(draw(grid, tmp_path / "a.svg") or tmp_path)
    assert "Validation accuracy by model and optimizer.lr" in texts
    assert {"90.00 %", "85.00 %", "70.00 %", "65.00 %"} <= set(texts)


def test_a_pair_that_was_not_tried_is_a_dash(grid: SweepData, tmp_path: Path):
    assert "–" in svg_texts(draw(replace(grid, points=grid.points[:4]), tmp_path / "a.svg") or tmp_path)


def test_a_search_is_a_map(search: SweepData, tmp_path: Path):
    texts = svg_texts(draw(search, tmp_path / "a.svg") or tmp_path)
    assert "Validation accuracy over optimizer.lr and model" in texts
    assert any(text.startswith("Stronger color is better: from") for text in texts)


def test_one_axis_or_few_points_give_none(grid: SweepData, search: SweepData, tmp_path: Path):
    assert draw(replace(grid, axes=grid.axes[:1]), tmp_path / "a.svg") is None
    assert draw(replace(search, points=search.points[:4]), tmp_path / "a.svg") is None
