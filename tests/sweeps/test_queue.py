"""Any number of processes take the jobs of one folder: each job once, and what one leaves another takes up."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptrun.config.composition import JobConfig
from ptrun.files import lock
from ptrun.files.claim import claim
from ptrun.process.children import ForkedChild, wait_for_any
from ptrun.runs import find
from ptrun.runs.folder import RunDir
from ptrun.sweeps.plan import Job
from ptrun.sweeps.pool import LATER
from ptrun.sweeps.queue import Queue, Taken


def queue(folder: Path, number: int = 2) -> Queue:
    jobs = [Job(folder / str(index), JobConfig(str(index), (), None, "")) for index in range(number)]  # type: ignore[arg-type]
    return Queue(folder, jobs, find.has_ended)


OPEN: list[Taken] = []


@pytest.fixture(autouse=True)
def _claims() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().claim.file.close()


def take(source: Queue) -> Taken:
    taken = source.take()
    assert isinstance(taken, Taken)
    OPEN.append(taken)
    return taken


def end(taken: Taken, state: str) -> None:
    RunDir(taken.job.folder).write_status(state)
    taken.claim.file.close()


def test_each_job_is_given_out_once(tmp_path: Path):
    first, second = queue(tmp_path), queue(tmp_path)
    zero, one = take(first), take(second)
    assert (zero.job.name, one.job.name) == ("0", "1")
    assert (first.take(), second.take()) == (LATER, LATER)
    end(zero, "done")
    end(one, "pruned")
    assert (first.take(), second.take()) == (None, None)
    assert first.left() == []


def test_what_another_process_left_is_taken_up_but_its_failures_are_not(tmp_path: Path):
    first, second = queue(tmp_path), queue(tmp_path)
    zero, one = take(first), take(first)
    end(zero, "interrupted")
    end(one, "failed")
    again = take(second)
    assert again.job.name == "0"
    assert second.take() is LATER
    end(again, "done")
    assert second.take() is None
    assert [job.name for job in second.left()] == ["1"]
    later = queue(tmp_path)
    assert take(later).job.name == "1"  # a new command tries what failed before it began


def test_a_job_that_a_search_finds_in_the_folder_is_tried_again(tmp_path: Path):
    RunDir(tmp_path / "0").write_status("failed")
    jobs = queue(tmp_path, 1).jobs
    searching = Queue(tmp_path, [], find.has_ended)
    searching.propose = lambda: [] if searching.jobs else jobs
    taken = take(searching)
    assert taken.job.name == "0"
    searching.give_up(taken.job)
    end(taken, "failed")
    assert searching.take() is None


def test_a_job_that_failed_here_can_be_tried_again(tmp_path: Path):
    source = queue(tmp_path, 1)
    zero = take(source)
    end(zero, "failed")
    source.try_again(zero.job)
    again = take(source)
    end(again, "failed")
    source.give_up(again.job)
    assert source.take() is None


def test_a_run_that_a_user_continues_is_left_to_him(tmp_path: Path):
    source = queue(tmp_path, 1)
    (tmp_path / "0").mkdir()
    with lock.lock(tmp_path / "0"):
        assert source.take() is LATER
    assert take(source).job.name == "0"


def test_a_job_of_another_machine_is_left_to_it_while_it_says_that_it_lives(tmp_path: Path):
    source = queue(tmp_path, 1)
    take(source).claim.close()
    record = tmp_path / "0" / ".claim-by"
    record.write_text(json.dumps({"token": "1", "peers": "another system", "host": "far"}))
    RunDir(tmp_path / "0").write_status("running")
    assert source.take() is LATER
    assert find.is_at_work(tmp_path / "0")
    os.utime(record, (0, 0))
    assert not find.is_at_work(tmp_path / "0")
    assert take(source).job.name == "0"


def test_new_jobs_are_asked_for_when_all_others_are_taken(tmp_path: Path):
    source, more = queue(tmp_path, 2), queue(tmp_path, 3).jobs[2:]
    source.jobs, rest = source.jobs[:1], [source.jobs[1:], more]
    source.propose = lambda: rest.pop(0) if rest else ()
    assert [take(source).job.name for _ in range(3)] == ["0", "1", "2"]


def test_a_pruned_job_goes_on_when_it_is_promoted(tmp_path: Path):
    source, other = queue(tmp_path), queue(tmp_path)
    zero, one = take(source), take(source)
    end(zero, "pruned")
    end(one, "done")
    assert (source.take(), other.take()) == (None, None)
    source.promoted = lambda names: [name for name in names if name == "0"]
    again = take(source)
    assert again.job.name == "0"
    RunDir(again.job.folder).write_status("running")
    assert other.take() is LATER
    source.promoted = lambda names: ()
    end(again, "done")
    assert (source.take(), other.take()) == (None, None)


def repeated(folder: Path) -> Queue:
    """Two configurations of two runs each, which are pruned together."""
    texts = [(f"optimizer.lr={lr}", f"seed={seed}") for lr in (0.1, 0.2) for seed in (0, 1)]
    configs = [JobConfig(str(index), text, None, "") for index, text in enumerate(texts)]  # type: ignore[arg-type]
    jobs = [Job(folder / config.identity, config) for config in configs]
    return Queue(folder, jobs, find.has_ended, prunes=True)


def test_a_configuration_whose_run_was_pruned_is_not_repeated(tmp_path: Path):
    source, lines = repeated(tmp_path), list[str]()
    source.tell = lines.append
    end(take(source), "pruned")
    assert take(source).job.name == "2"
    assert find.run_row(tmp_path / "1")["reason"] == "pruned without a run, as run 0 of the same configuration was"
    assert lines == ["  job 1 pruned without a run, as run 0 of the same configuration was"]
    assert [job.name for job in source.left()] == ["2", "3"]
    assert take(repeated(tmp_path)).job.name == "3"


def test_a_promotion_lets_all_runs_of_the_configuration_go_on(tmp_path: Path):
    source = repeated(tmp_path)
    end(take(source), "pruned")
    for _ in range(2):
        end(take(source), "done")
    assert source.take() is None
    source.promoted = lambda names: [name for name in names if name == "0" and not find.is_done(tmp_path / name)]
    [held] = [made for made in [claim(tmp_path / "1" / ".claim")] if made]
    assert source.take() is None  # the process of a repetition has not ended yet
    held.release()
    again = take(source)
    assert (again.job.name, again.is_promoted) == ("0", True)
    assert take(repeated(tmp_path)).job.name == "1"  # at once, also in another process


def test_the_process_of_the_job_holds_it_until_its_death(tmp_path: Path):
    source = queue(tmp_path, 1)
    taken = take(source)
    read, write = os.pipe()

    def work() -> int:
        lock.adopt(taken.claim.file)
        os.write(write, b"x")
        signal.pause()
        return 0

    child = ForkedChild(work, tmp_path / "log")
    taken.claim.file.close()
    os.read(read, 1)
    assert source.take() is LATER
    child.kill()
    while child.poll() is None:
        wait_for_any([child], 1)
    assert take(source).job.name == "0"
