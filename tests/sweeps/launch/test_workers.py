"""Workers as processes: how they ended is told once, and they are stopped by a signal or by the end of their input."""

from __future__ import annotations

from pathlib import Path

from ptrun.sweeps.launch.workers import Processes, ended_text, last_line, work_words


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


def test_the_words_of_a_worker(tmp_path: Path):
    words = work_words(tmp_path, "--until-eof", python="/a/python")
    assert words == ["/a/python", "-m", "ptrun", "sweep", "work", str(tmp_path), "-q", "--until-eof"]
