"""The page of a sweep says what its table says."""

from __future__ import annotations

from pathlib import Path

from support import make_sweep

from ptrun.sweeps import figures, page
from ptrun.sweeps.leaderboard import all_rows

JOBS = [f"optimizer.lr={lr} seed={seed}" for lr in ("0.1", "0.2") for seed in (0, 1)]


def test_what_the_page_says(tmp_path: Path):
    sweep = make_sweep(tmp_path / "my sweep", JOBS, [0.5, 0.7, 0.9, None])
    text = page.write(sweep, all_rows(sweep), []).read_text()
    assert "Sweep my sweep" in text
    assert "Started 2026-01-0" in text
    assert "<b>3</b> done" in text
    assert "<b>1</b> failed" in text
    assert "optimizer.lr=0.2: val/accuracy 90.00 %" in text
    assert f"ptrun eval checkpoint=&#x27;{sweep / '2'}&#x27;" in text
    assert "60.00 ± 14.14 %" in text
    assert "0.00 to 100.00 %" in text  # of two seeds
    assert "ValueError: &lt;b&gt;not good&lt;/b&gt;" in text
    assert "the last line" in text
    assert text.count("class=best") == 2  # a configuration and its job
    assert "<td data-v=0.9 class=number>90.00 %</td>" in text


def test_one_configuration_is_not_called_the_best(tmp_path: Path):
    sweep = make_sweep(tmp_path / "sw", ["seed=0", "seed=1"], [0.5, 0.7])
    assert "class=best" not in page.write(sweep, all_rows(sweep), []).read_text()
    data = figures.read(sweep, all_rows(sweep))
    assert data is not None
    assert not any(curve.is_best for curve in data.curves)


def test_five_hundred_jobs_make_a_page_of_moderate_size(tmp_path: Path):
    jobs = [f"optimizer.lr={number / 1000} model=simplenet{number % 3}" for number in range(500)]
    sweep = make_sweep(tmp_path / "sw", jobs, [number / 1000 for number in range(499)] + [None])
    text = page.write(sweep, all_rows(sweep), []).read_text()
    assert text.count("<tr") == 501
    assert len(text) < 400_000
    assert "Configurations" not in text  # each job is one
