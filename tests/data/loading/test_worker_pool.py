"""Workers answer in order, whatever happens to them; and what they leave in a place is what was read."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ptrun import plugins, registry
from ptrun.data.loading import worker_pool
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.loading.shared_memory import Left, Places, Sent
from ptrun.data.loading.streaming import StreamingLoader, read_in_order
from ptrun.data.loading.worker_pool import AHEAD, Workers
from ptrun.data.splits import Split, TensorSplit
from ptrun.errors import DataError, ResourceError

CPU = torch.device("cpu")
# Each process that is not forked imports torch.
METHODS = ["fork", pytest.param("spawn", marks=pytest.mark.slow)] if sys.platform == "linux" else ["spawn"]
Opened = Callable[..., Workers[Any, Any]]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Workers that are ended with the test."""
    made: list[Workers[Any, Any]] = []

    def open_(*args: Any) -> Workers[Any, Any]:
        made.append(Workers(*args))
        return made[-1]

    yield open_
    for each in made:
        each.close()


def twice(number: int) -> int:
    return 2 * number


def who(_: int) -> tuple[int, int, float, float, float]:
    return os.getpid(), torch.get_num_threads(), random.random(), float(np.random.random()), float(torch.rand(()))


def fail_at_three(how: str, number: int) -> int:
    if number != 3:
        return number
    if how == "exit":
        os._exit(7)
    if how == "data":
        raise DataError("row 3 is empty.")
    if how == "memory":
        raise MemoryError("no more")
    if how == "bug":
        raise ZeroDivisionError("by three")
    os.kill(os.getpid(), signal.Signals[how])
    return number


@pytest.mark.parametrize("count", [0, 1, 3])
def test_answers_come_in_order_and_requests_are_taken_as_they_are_needed(opened: Opened, count: int):
    taken: list[int] = []

    def requests() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    found = []
    for answer in opened(twice, count).answers(requests()):
        found.append(answer)
        assert len(taken) == min(20, len(found) + AHEAD * count)
    assert found == [2 * number for number in range(20)]


def test_a_pass_that_was_broken_off_leaves_nothing_to_the_next(opened: Opened):
    pair = opened(twice, 2)
    first = pair.answers(range(10))
    assert [next(first), next(first), next(first)] == [0, 2, 4]
    assert list(pair.answers(range(50, 53))) == [100, 102, 104]
    assert list(first) == []
    assert list(pair.answers([])) == []
    assert list(pair.answers([7])) == [14]


def test_each_worker_is_a_process_with_one_thread_and_random_numbers_of_its_own(opened: Opened):
    answers = list(opened(who, 2, 5).answers(range(4)))
    assert answers[0][0] == answers[2][0] != answers[1][0] == answers[3][0]
    assert os.getpid() not in {answer[0] for answer in answers}
    assert {answer[1] for answer in answers} == {1}
    drawn = [number for answer in answers for number in answer[2:]]
    assert len(set(drawn)) == len(drawn)
    again = opened(who, 2, 5).answers(range(4))
    assert [answer[2:] for answer in again] == [answer[2:] for answer in answers]


DEATHS = {
    "SIGKILL": "it was killed, most likely by the system because memory ran out",
    "SIGXCPU": "it was ended by SIGXCPU",
    "exit": "it left with exit code 7",
}


@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("count", [1, 2])
def test_a_worker_that_dies_is_told_when_its_answer_is_due(opened: Opened, how: str, count: int):
    answers = opened(partial(fail_at_three, how), count).answers(range(9))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ResourceError, match=f"A data worker died: {DEATHS[how]}"):
        next(answers)


def test_workers_start_again_after_a_death(opened: Opened):
    pair = opened(partial(fail_at_three, "SIGKILL"), 2)
    with pytest.raises(ResourceError):
        list(pair.answers(range(9)))
    assert list(pair.answers([4, 5])) == [4, 5]


ERRORS: dict[str, tuple[type[BaseException], str]] = {
    "data": (DataError, "^row 3 is empty.$"),
    "memory": (MemoryError, "no more"),
    "bug": (RuntimeError, "(?s)in a data worker:.*in fail_at_three.*ZeroDivisionError: by three"),
}


@pytest.mark.parametrize("how", ERRORS)
def test_what_work_raises_is_raised_when_its_answer_is_due(opened: Opened, how: str):
    kind, text = ERRORS[how]
    pair = opened(partial(fail_at_three, how), 2)
    answers = pair.answers(range(9))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(kind, match=text):
        next(answers)
    assert list(pair.answers([8])) == [8]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open")
@pytest.mark.parametrize("method", METHODS)
def test_workers_end_when_their_process_is_killed(method: str):
    """Also beside others that were started later, which inherit what is open."""
    program = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from ptrun.data.loading import worker_pool as workers; from test_worker_pool import who\n"
        f"workers.START_METHOD = {method!r}\n"
        "if __name__ == '__main__':\n"
        "    kept = [workers.Workers(who, 2) for _ in range(2)]\n"
        "    print(*{answer[0] for each in kept for answer in each.answers(range(4))}, flush=True)\n"
        "    sys.stdin.read(1); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        found = [os.pidfd_open(int(each)) for each in process.stdout.readline().split()]
        assert len(found) == 4
        assert process.stdin is not None
        process.stdin.close()  # not `communicate`, which waits for all that hold the other end of stdout
        process.wait(60)
        for handle in found:
            assert select.select([handle], [], [], 3)[0], "a worker is still there"  # a look at the parent takes longer
            os.close(handle)


def held(shape: tuple[int, ...], *, by_pixel: bool = False) -> TensorSplit:
    inputs = torch.arange(13 * torch.Size(shape).numel(), dtype=torch.float32).view(13, *shape)
    if by_pixel:
        inputs = inputs.to(torch.uint8).to(memory_format=torch.channels_last)
    return TensorSplit(inputs, torch.arange(13), torch.arange(13))


@pytest.mark.parametrize("method", METHODS)
def test_every_way_gives_equal_batches(method: str, monkeypatch: pytest.MonkeyPatch):
    """Places large enough or too small, workers or none; and a batch that is kept is not written to by later ones."""
    monkeypatch.setattr(worker_pool, "START_METHOD", method)
    images = held((3, 4, 5), by_pixel=True)
    for split, shape in ((held((7,)), (7,)), (images, (3, 4, 5)), (images, ()), (held((2, 3)), (2, 2))):
        sampler = BatchSampler(13, 2, shuffle=True, seed=1)
        expected = [batch for epoch in (0, 1) for batch in InMemoryLoader(split, sampler, None, CPU).epoch(epoch)]
        for count in (0, 2):
            source = StreamingLoader(split, sampler, None, CPU, count, shape)
            kept = [batch for epoch in (0, 1) for batch in source.epoch(epoch)]
            source.close()
            for ours, theirs in zip(kept, expected, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
                assert ours.inputs.is_contiguous() or split is images
                assert ours.inputs.is_contiguous(memory_format=torch.channels_last) or split is not images
    assert all(torch.equal(a, b) for a, b in zip(read_in_order(images, 2), images.inputs, strict=True))


PLUGIN = """
import torch
from dataclasses import dataclass
from ptrun.registry import datasets

@dataclass(frozen=True)
class Squares:
    targets: torch.Tensor
    def __len__(self): return len(self.targets)
    def read(self, index): return torch.tensor([float(index * index)])
    def name(self, index): return str(index)
    def fingerprint(self): return ""

@datasets.register
def squares_of_a_plugin(): return Squares(torch.zeros(5))
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "squares.py"
    file.write_text(PLUGIN)
    return file


@pytest.mark.parametrize("method", METHODS)
def test_a_data_set_of_a_plugin_is_known_to_workers(plugin: Path, method: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_pool, "START_METHOD", method)
    plugins.load([str(plugin)])
    split: Split = registry.datasets.build("squares_of_a_plugin", {})
    source = StreamingLoader(split, BatchSampler(5, 2, shuffle=False, seed=0), None, CPU, 1, (1,))
    assert torch.cat([batch.inputs for batch in source.epoch(0)]).flatten().tolist() == [0, 1, 4, 9, 16]


def test_places_hold_what_fits_in_the_order_that_it_had():
    places = Places(3, 2, (3, 4, 5))
    for tensor in (
        torch.rand(2, 3, 4, 5),
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.randint(0, 256, (2, 3, 8, 10), dtype=torch.uint8),
        torch.rand(2, 3, 8, 10)[:, :, ::2, ::2],
    ):
        places.ask(1, np.array([7, 9]))
        left = places.leave(1, tensor)
        assert isinstance(left, Left)
        found = places.find(left)
        assert torch.equal(found, tensor)
        assert places.holds(found)
        assert not places.holds(tensor)
        if tensor.is_contiguous(memory_format=torch.channels_last):
            assert found.is_contiguous(memory_format=torch.channels_last)
        # A part of what is there already is not copied, but found.
        part = places.leave(1, found[1:])
        assert isinstance(part, Left)
        assert torch.equal(places.find(part), tensor[1:])
        assert places.asked(1, 2).tolist() == [7, 9]
    large = torch.rand(2, 3, 4, 6).to(memory_format=torch.channels_last)
    sent = places.leave(1, large)
    assert isinstance(sent, Sent)
    assert sent.values.flags.c_contiguous
    assert torch.equal(places.find(sent), large)
    assert places.find(sent).stride() == large.stride()
