"""Workers that are started by a command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended

from ptrun.config.overrides import parse_values
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
    assert command_words("bash -lc %work", work, 0) == ["bash", "-lc", "python -m ptrun sweep work '/a folder'"]


def test_what_is_missing_is_said_before_anything_starts():
    for command in (None, "ssh node"):
        with pytest.raises(ConfigError, match=r"sweep\.launch_command: .* with %work"):
            check(as_settings({"launch": "command", "launch_command": command}))


@pytest.mark.parametrize(
    "command",
    [
        "nice %work > out",
        "A=1 nice %work",
        "~/start %work",
        "docker run -v $PWD:/w i %work",
        "cd x; %work",
        "it's %work",
    ],
)
def test_a_command_for_a_shell_is_refused_with_one_that_works(command: str):
    with pytest.raises(ConfigError, match=r"sweep\.launch_command: .*(shell|second)") as caught:
        check(as_settings({"launch": "command", "launch_command": command}))
    if "Let one read it: " not in str(caught.value):
        return
    [typed] = shlex.split(str(caught.value).partition("Let one read it: ")[2].removesuffix("."))
    settings = as_settings({"launch": "command", "launch_command": parse_values([typed])["sweep.launch_command"]})
    check(settings)
    assert command_words(settings.launch_command or "", ["ptrun", "/a b"], 0) == [
        "sh", "-c", command.replace("%work", "ptrun '/a b'")
    ]  # fmt: skip


def test_a_command_that_does_not_exist(tmp_path: Path):
    settings = as_settings({"launch": "command", "launch_command": "no-such-command %work", "workers": 2})
    with pytest.raises(ResourceError, match="no-such-command can't be started"):
        start(settings, tmp_path)


@pytest.mark.slow
def test_workers_run_the_jobs_and_this_process_reports_them(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "optimizer.lr=0.01,1e-6", "train.epochs=30", "sweep.dir=sw")
    ended = process(*words, "sweep.launch=command", "sweep.launch_command=nice %work", "sweep.workers=2")
    assert ended.code == 0, ended.err
    assert "Workers: 2, by nice %work" in ended.out
    told = [line.split(":")[0] for line in ended.out.splitlines() if line.startswith("  job 0 ")]
    steps = ["  job 0 started", "  job 0 done", "  job 0 is tested", "  job 0 tested"]
    assert told == [line for line in steps if line in told]  # each once; those between two looks are passed over
    assert told[-1] in ("  job 0 done", "  job 0 tested")
    summaries = [json.loads((folder / "sw" / job / "summary.json").read_text()) for job in "01"]
    assert [summary["test"] != {} for summary in summaries] == [True, False]
    assert (folder / "sw" / "results.csv").is_file()
    assert (folder / "sw" / "worker-1.log").is_file()
    words = (*words[:3], "optimizer.lr=choice(1e-5)", *words[4:], "sweep.launch=command")
    ended = process(*words, "sweep.launch_command=true %work")  # fewer jobs than are done in the folder
    assert (ended.code, "1 of 1 jobs are not done" in ended.err) == (1, True)


@pytest.mark.slow
def test_workers_that_can_not_work_are_named(folder: Path, process: Call):
    words = ("train", "-m", "model=simplenet", "optimizer.lr=0.01,1e-6", "train.max_steps=20", "sweep.dir=sw")
    (folder / "start").write_text("echo no such node; exit 9\n")
    ended = process(*words, "sweep.launch=command", "sweep.launch_command=sh start %work")
    assert ended.code == 1
    assert "worker 0 ended with exit code 9: no such node" in ended.err
    assert "2 of 2 jobs are not done, and no worker is left" in ended.err
