"""sweep.launch chooses who starts the workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config.sweep import as_settings
from ptrun.errors import ConfigError
from ptrun.sweeps.launch.start import check_launch, start_workers


@pytest.mark.parametrize(
    ("launch", "message"),
    [("command", r"sweep\.launch_command: "), ("slurm", "no command sbatch"), ("ssh", r"sweep\.hosts: ")],
)
def test_each_says_what_it_lacks(launch: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        check_launch(as_settings({"launch": launch}))


def test_none_needs_nothing():
    check_launch(as_settings({}))


def test_the_command_is_started(tmp_path: Path):
    workers = start_workers(
        as_settings({"launch": "command", "launch_command": "echo %n %work", "workers": 2}), tmp_path
    )
    while workers.are_alive():
        pass
    assert workers.problems() == []
    assert (tmp_path / "worker-1.log").read_text().startswith("1 ")
