"""Configurations are ranked by their mean over seeds, and every job has a state, read from the files of the sweep."""

from __future__ import annotations

import json
from pathlib import Path

from support import job_row as row

from ptrun.files.lock import lock
from ptrun.runs.configurations import configurations
from ptrun.runs.folder import RunDir
from ptrun.sweeps.leaderboard import all_rows, best_jobs, comparison, job_row


def test_whether_the_best_is_better_by_more_than_chance():
    def ranked(*values: tuple[float, ...]) -> str:
        rows = [row(f"a={a} seed={seed}", value) for a, group in enumerate(values) for seed, value in enumerate(group)]
        return comparison(configurations(rows))

    assert "more than chance (3 pairs of runs" in ranked((0.90, 0.91, 0.92), (0.5, 0.51, 0.52))
    assert "can't be told apart" in ranked((0.90, 0.8, 0.7), (0.85, 0.75, 0.7))
    assert ranked((0.9, 0.91), (0.5,)) == ""
    assert ranked((0.9, 0.91)) == ""


def test_the_best_stays_the_best_while_it_is_tested():
    rows = [row("a=1", 0.9), row("a=2", 0.8, job="1"), row("a=3", None, job="2")]
    names = best_jobs(rows)
    for state in ("running", "running, epoch 20"):
        assert best_jobs([{**rows[0], "state": state}, *rows[1:]]) == names
    assert best_jobs([*rows[:2], {**rows[2], "state": "running"}]) == names
    assert best_jobs([{**rows[0], "state": "failed"}, *rows[1:]]) != names


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
