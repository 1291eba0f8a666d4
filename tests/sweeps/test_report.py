"""The report at the end of a sweep: figures and page, or one note."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import make_sweep

from ptrun.sweeps import report
from ptrun.sweeps.leaderboard import all_rows
from ptrun.terminal.console import Console

JOBS = ["optimizer.lr=0.1", "optimizer.lr=0.2"]


def test_figures_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sweep = make_sweep(tmp_path / "sw", JOBS, [0.5, 0.7])
    path = report.write(sweep, all_rows(sweep), Console(), plots=True)
    assert path == sweep / "sweep.html"
    assert path.read_text().count("<figure") == 2
    assert (sweep / "plots" / "by_setting.svg").is_file()
    assert capsys.readouterr().out == ""
    assert report.write(sweep, [], Console(), plots=True) is None


def test_without_figures(tmp_path: Path):
    sweep = make_sweep(tmp_path / "sw", JOBS, [0.5, 0.7])
    path = report.write(sweep, all_rows(sweep), Console(), plots=False)
    assert path is not None
    assert "<figure" not in path.read_text()
    assert not (sweep / "plots").exists()


def test_what_can_not_be_drawn_is_one_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sweep = make_sweep(tmp_path / "sw", JOBS, [0.5, 0.7])
    (sweep / "plots").touch()  # in the way of the folder
    path = report.write(sweep, all_rows(sweep), Console(), plots=True)
    assert path is not None
    assert capsys.readouterr().out.count("The figures of the sweep could not be drawn (FileExistsError") == 1
    (sweep / "sweep.html").unlink()
    (sweep / "sweep.html").mkdir()
    assert report.write(sweep, all_rows(sweep), Console(), plots=False) is None
    assert capsys.readouterr().out.count("The page of the sweep could not be written (IsADirectoryError") == 1
