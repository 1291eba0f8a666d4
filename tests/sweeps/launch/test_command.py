"""Workers that are started by a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended

from ptrun.config.sweep import as_settings
from ptrun.errors import ConfigError, ResourceError
from ptrun.sweeps.launch.command import check, command_words, start

Call = Callable[..., Ended]


def test_the_words_of_a_command():
    work = ["python", "-m", "ptrun", "sweep", "work", "/a folder"]
    assert command_words("nice -n 5 %work", work, 0) == ["nice", "-n", "5", *work]
    assert command_words("ssh node%n 'cd there && %work'", work, 3) == [
        "ssh", "node3", "cd there && python -m ptrun sweep work '/a folder'",
    ]  # fmt: skip


def test_what_is_missing_is_said_before_anything_starts():
    for command in (None, "ssh node"):
        with pytest.raises(ConfigError, match=r"sweep\.launch_command: .* with %work"):
            check(as_settings({"launch": "command", "launch_command": command}))


def test_a_command_that_does_not_exist(tmp_path: Path):
    settings = as_settings({"launch": "command", "launch_command": "no-such-command %work", "workers": 2})
    with pytest.raises(ResourceError, match="no-such-command can't be started"):
        start(settings, tmp_path)


@pytest.mark.slow
def test_workers_run_the_jobs_and_this_process_reports_them(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "optimizer.lr=0.01,1e-6", "train.max_steps=20", "sweep.dir=sw")
    ended = process(*words, "sweep.launch=command", "sweep.launch_command=nice %work", "sweep.workers=2")
    assert ended.code == 0, ended.err
    assert "Workers: 2, by nice %work" in ended.out
    summaries = [json.loads((folder / "sw" / job / "summary.json").read_text()) for job in "01"]
    assert [summary["test"] != {} for summary in summaries] == [True, False]
    assert (folder / "sw" / "results.csv").is_file()
    assert (folder / "sw" / "worker-1.log").is_file()


@pytest.mark.slow
def test_workers_that_can_not_work_are_named(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "optimizer.lr=0.01,1e-6", "train.max_steps=20", "sweep.dir=sw")
    (folder / "start").write_text("echo no such node; exit 9\n")
    ended = process(*words, "sweep.launch=command", "sweep.launch_command=sh start %work")
    assert ended.code == 1
    assert "worker 0 ended with exit code 9: no such node" in ended.err
    assert "2 of 2 jobs are not done, and no worker is left" in ended.err
