"""Configurations are ranked by their mean over seeds, and every job has a state, read from the files of the sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from ptrun.files.lock import lock
from ptrun.runs.folder import RunDir
from ptrun.sweeps.leaderboard import all_rows, comparison, configurations, job_row, welch


def row(settings: str, value: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "job": "0", "overrides": ["train.epochs=1", *settings.split()], "value": value, "monitor": "val/accuracy",
        "higher_is_better": True, "state": "failed" if value is None else "done", "reason": "",
        "test": {} if value is None else {"accuracy": value / 2}, "seconds": 1.0, **changes,
    }  # fmt: skip


ROWS = [
    row("optimizer.lr=0.1 seed=0", 0.9),
    row("optimizer.lr=0.2 seed=0", 0.6),
    row("optimizer.lr=0.1 seed=1", 0.5),
    row("optimizer.lr=0.2 seed=1", 0.8),
    row("optimizer.lr=0.1 seed=2", None),
    row("optimizer.lr=0.3 seed=0", None),
]


def test_configurations_are_ranked_by_the_mean_over_seeds():
    first, second, last = configurations(ROWS)
    assert (first.settings, second.settings, last.settings) == tuple(f"optimizer.lr=0.{n}" for n in (1, 2, 3))
    assert (first.mean, second.mean) == (pytest.approx(0.7), pytest.approx(0.7))
    assert first.std == pytest.approx(0.2 * 2**0.5)
    assert (len(first.values), first.planned) == (2, 3)
    assert first.tests == {"accuracy": [0.45, 0.25]}
    assert (last.values, last.std) == ([], None)
    lower = [{**entry, "higher_is_better": False} for entry in (row("a=1 seed=0", 3.0), row("a=2 seed=1", 2.0))]
    assert [place.settings for place in configurations(lower)] == ["a=2", "a=1"]


def test_without_several_seeds_there_is_nothing_to_sum_up():
    assert configurations([row("a=1 seed=0", 1.0), row("a=2 seed=0", 2.0)]) == []
    assert [place.settings for place in configurations([row("seed=0", 1.0), row("seed=1", 2.0)])] == ["(defaults)"]


def test_whether_the_best_is_better_by_more_than_chance():
    def ranked(*values: tuple[float, ...]) -> str:
        rows = [row(f"a={a} seed={seed}", value) for a, group in enumerate(values) for seed, value in enumerate(group)]
        return comparison(configurations(rows))

    assert "more than chance (3 and 3 runs" in ranked((0.90, 0.91, 0.92), (0.5, 0.51, 0.52))
    assert "can't be told apart" in ranked((0.90, 0.8, 0.7), (0.85, 0.75, 0.7))
    assert ranked((0.9, 0.91), (0.5,)) == ""
    assert ranked((0.9, 0.91)) == ""


@pytest.mark.parametrize("second", [(0.5, 0.7, 0.65), (0.9, 0.1), (0.91, 0.93, 0.92, 0.95)])
def test_the_probability_is_that_of_scipy(second: tuple[float, ...]):
    first = (0.9, 0.92, 0.97, 0.91)
    assert welch(first, second) == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue, abs=1e-12)
    assert welch((1.0, 1.0), (1.0, 1.0)) == 1.0
    assert welch((1.0, 1.0), (2.0, 2.0)) == 0.0


def test_every_job_of_the_plan_has_a_row_and_a_state(tmp_path: Path):
    jobs = [{"job": str(number), "overrides": [f"seed={number}"]} for number in range(5)]
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    for name, state in (("0", "done"), ("1", "failed"), ("2", "running"), ("3", "running")):
        (tmp_path / name).mkdir()
        RunDir(tmp_path / name).write_status(state, reason="a reason")
    (tmp_path / "3" / "metrics.jsonl").write_text('{"epoch": 7, "step": 70}\n')
    with lock(tmp_path / "3"):
        rows = {row["job"]: row for row in all_rows(tmp_path)}
    assert {job: row["state"] for job, row in rows.items()} == {
        "0": "done", "1": "failed", "2": "killed", "3": "running, epoch 7", "4": "planned",
    }  # fmt: skip
    assert rows["4"]["overrides"] == ["seed=4"]
    assert job_row(tmp_path / "2")["state"] == "killed"
