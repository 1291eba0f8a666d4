"""Parallel coordinates of three and more axes."""

from __future__ import annotations

from pathlib import Path

from support import svg_texts

from ptrun.reports.figure import GREEN
from ptrun.reports.sweep.data import SweepData
from ptrun.reports.sweep.parallel import draw


def test_lines_from_the_settings_to_the_result(search: SweepData, tmp_path: Path):
    path = draw(search, tmp_path / "a.svg")
    assert path is not None
    texts = svg_texts(path)
    assert "All 20 configurations: settings and validation accuracy" in texts
    assert {"optimizer.lr", "model.dropout", "convnet", "not used", "90.00 %"} <= set(texts)
    svg = path.read_text().lower()
    assert svg.count(f"stroke: {GREEN.lower()}") == 1
    assert svg.count("stroke-dasharray") == 6  # the pruned ones


def test_two_axes_give_none(grid: SweepData, tmp_path: Path):
    assert draw(grid, tmp_path / "a.svg") is None
