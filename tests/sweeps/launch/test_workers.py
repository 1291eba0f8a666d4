"""Workers as processes: how they ended is told once, and they are stopped by a signal or by the end of their input."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ptrun.errors import ConfigError
from ptrun.sweeps.launch.workers import Processes, ended_text, last_line, split_words, work_words


def describe(code: int, line: str) -> str:
    return f"it {ended_text(code, line)}"


def wait(processes: Processes) -> None:
    for worker in processes.workers:
        worker.process.wait()


def test_a_worker_that_could_not_work_is_told_once(tmp_path: Path):
    (tmp_path / "worker-0.log").write_text("of an earlier start\n")
    processes = Processes("two")
    processes.add(["sh", "-c", "echo why; echo; exit 4"], tmp_path, describe, has_input=False)
    processes.add(["sh", "-c", "exit 1"], tmp_path, describe, has_input=False)  # jobs failed, which is told elsewhere
    processes.add(["sh", "-c", "exit 4"], tmp_path, describe, has_input=False)
    wait(processes)
    assert not processes.are_alive()
    assert processes.problems() == [
        "it ended with exit code 4: why",
        "it ended with exit code 4: it printed nothing",
    ]
    assert processes.problems() == []
    assert last_line(tmp_path / "worker-0.log") == "why"


def test_stopped_by_a_signal_or_by_the_end_of_the_input(tmp_path: Path):
    processes = Processes("two")
    processes.add(["sleep", "1000"], tmp_path, describe, has_input=False)
    processes.add(["sh", "-c", "cat; exit 75"], tmp_path, describe, has_input=True)
    assert processes.are_alive()
    assert processes.stop() == "The workers were stopped."
    assert [worker.process.returncode for worker in processes.workers] == [-15, 75]
    assert processes.problems() == []  # they did as they were told


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_what_a_shell_has_started_is_stopped_and_waited_for(tmp_path: Path):
    processes = Processes("one")
    worker = f"trap 'echo saved > {tmp_path}/state; exit' TERM; touch {tmp_path}/ready; sleep 1000 & wait"
    (tmp_path / "worker").write_text(worker)
    processes.add(["sh", "-c", f"sh {tmp_path}/worker; true"], tmp_path, describe, has_input=False)
    while not (tmp_path / "ready").exists():
        assert processes.are_alive()
    processes.stop()
    assert (tmp_path / "state").read_text() == "saved\n"


def test_a_mark_without_its_second_is_no_command():
    assert split_words("sweep.slurm_options", "--gres=gpu:1 --comment='a b'") == ["--gres=gpu:1", "--comment=a b"]
    with pytest.raises(ConfigError, match=r"sweep\.slurm_options: it's can't be divided into words .* needs a second"):
        split_words("sweep.slurm_options", "it's")


def test_the_words_of_a_worker(tmp_path: Path):
    words = work_words(tmp_path, "--until-eof", python="/a/python")
    assert words == ["/a/python", "-m", "ptrun", "sweep", "work", str(tmp_path), "-q", "--until-eof"]
