"""The importance of the axes as bars."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support import svg_texts

from ptrun.reports.sweep.data import SweepData
from ptrun.reports.sweep.importance import draw


def test_the_largest_share_is_in_the_title_and_the_method_below(grid: SweepData, tmp_path: Path):
    texts = svg_texts(draw(grid, tmp_path / "a.svg") or tmp_path)
    assert "optimizer.lr matters most for validation accuracy" in texts
    assert {"70 %", "20 %", "Share of the variance. A note."} <= set(texts)


def test_unknown_importance_gives_none(grid: SweepData, tmp_path: Path):
    assert draw(replace(grid, importance=None), tmp_path / "a.svg") is None
