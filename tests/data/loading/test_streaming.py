"""Streamed batches equal those in memory, for any number of workers, any batch size and any start."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ptrun import plugins, registry
from ptrun.data.datasets.image_files import OnBadSample, image_folder
from ptrun.data.loading import worker_pool
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler, Loader
from ptrun.data.loading.streaming import StreamingLoader, read_in_order
from ptrun.data.splits import Split, TensorSplit
from ptrun.errors import DataError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

CPU = torch.device("cpu")
# Each process that is not forked imports torch.
METHODS = ["fork", pytest.param("spawn", marks=pytest.mark.slow)] if sys.platform == "linux" else ["spawn"]
AUGMENT = ["horizontal_flip", {"random_crop": {"padding": 2}}, {"rand_augment": {"num_ops": 1}}, "cutmix", "mixup"]
NORMALIZE = {"normalize": {"mean": 0.5, "std": 0.5}}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


def image_spec(*shape: int) -> DataSpec:
    names = ("a", "b", "c")
    return DataSpec(
        layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=shape, num_outputs=len(names), class_names=names
    )


def stream(photos: Path, num_workers: int, batch_size: int = 4, on_bad_sample: OnBadSample = "stop") -> Loader:
    """Augmented batches of the training photos."""
    split = image_folder(root=str(photos), on_bad_sample=on_bad_sample).train
    transforms = [{"resize": {"size": [12, 12]}}, {"random_crop": {"padding": 2}}, "horizontal_flip", NORMALIZE]
    sampler = BatchSampler(len(split), batch_size, shuffle=True, seed=0)
    return make_loader(split, sampler, build_pipeline(transforms, image_spec(3, 20, 24)), CPU, num_workers)


def samples(loader: Loader, epoch: int) -> dict[int, torch.Tensor]:
    return {int(i): x for batch in loader.epoch(epoch) for i, x in zip(batch.indices, batch.inputs, strict=True)}


def test_workers_and_batch_size_do_not_change_a_sample(photos: Path):
    alone, two, larger = stream(photos, 0), stream(photos, 2), stream(photos, 0, batch_size=5)
    for epoch in (0, 1):
        expected = samples(alone, epoch)
        assert len(expected) == len(alone.split)
        for other in (two, larger):
            actual = samples(other, epoch)
            assert actual.keys() == expected.keys()
            assert all(torch.equal(actual[i], expected[i]) for i in expected)
    first, second = samples(alone, 0), samples(alone, 1)
    assert any(not torch.equal(first[i], second[i]) for i in first), "augmentation should differ between epochs"


def test_an_epoch_can_start_anywhere(photos: Path):
    loader = stream(photos, 0)
    whole = [batch.inputs for batch in loader.epoch(1)]
    rest = [batch.inputs for batch in loader.epoch(1, start=2)]
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_leave_the_global_random_state_alone(photos: Path, num_workers: int):
    loader = stream(photos, num_workers)
    before = torch.get_rng_state()
    list(loader.epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [3, 3, 3, 1]), (True, [3, 3, 3])])
def test_batches_follow_the_sampler(drop_last: bool, sizes: list[int]):
    sampler = BatchSampler(10, 3, shuffle=False, seed=0, drop_last=drop_last)
    split = TensorSplit(torch.arange(10).float()[:, None], torch.arange(10), torch.arange(10))
    batches = list(StreamingLoader(split, sampler, None, CPU, 0).epoch(0))
    assert [len(batch.targets) for batch in batches] == sizes
    assert torch.equal(torch.cat([b.inputs[:, 0] for b in batches]).long(), torch.cat([b.targets for b in batches]))


def test_augmented_batches_equal_those_in_memory_for_any_even_batch_size():
    images = torch.randint(0, 256, (26, 3, 9, 9), dtype=torch.uint8)
    split = TensorSplit(images, torch.arange(26) % 3, torch.arange(26))
    pipeline = build_pipeline([*AUGMENT, NORMALIZE], image_spec(3, 9, 9))
    epochs = []
    for size, kind in ((4, "in memory"), (8, "in memory"), (4, "streamed")):
        sampler = BatchSampler(26, size, shuffle=True, seed=3)
        loader: Loader = InMemoryLoader(split, sampler, pipeline, CPU)
        if kind == "streamed":
            loader = StreamingLoader(split, sampler, pipeline, CPU, 2)
        epochs.append([torch.cat(part) for part in zip(*loader.epoch(1), strict=True)])
        assert not torch.equal(epochs[-1][0], torch.cat([batch.inputs for batch in loader.epoch(2)]))
    for epoch in epochs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(epochs[0], epoch, strict=True))
    assert epochs[0][1].shape == (26, 3)


def numbers(*shape: int, channels_last: bool = False) -> TensorSplit:
    inputs = torch.arange(13 * torch.Size(shape).numel(), dtype=torch.float32).view(13, *shape)
    if channels_last:
        inputs = inputs.to(torch.uint8).to(memory_format=torch.channels_last)
    return TensorSplit(inputs, torch.arange(13), torch.arange(13))


@pytest.mark.parametrize("method", METHODS)
def test_batches_are_equal_with_and_without_buffers_that_fit(method: str, monkeypatch: pytest.MonkeyPatch):
    """A batch that the caller keeps is not overwritten by later ones."""
    monkeypatch.setattr(worker_pool, "START_METHOD", method)
    images = numbers(3, 4, 5, channels_last=True)
    for split, buffer_shape in ((numbers(7), (7,)), (images, (3, 4, 5)), (images, ()), (numbers(2, 3), (2, 2))):
        sampler = BatchSampler(13, 2, shuffle=True, seed=1)
        expected = [batch for epoch in (0, 1) for batch in InMemoryLoader(split, sampler, None, CPU).epoch(epoch)]
        for num_workers in (0, 2):
            loader = StreamingLoader(split, sampler, None, CPU, num_workers, buffer_shape)
            batches = [batch for epoch in (0, 1) for batch in loader.epoch(epoch)]
            loader.close()
            for batch, other in zip(batches, expected, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(batch, other, strict=True))
                assert batch.inputs.is_contiguous() or split is images
                assert batch.inputs.is_contiguous(memory_format=torch.channels_last) or split is not images


def test_read_in_order_gives_every_sample_once():
    images = numbers(3, 4, 5, channels_last=True)
    for num_workers in (0, 2):
        assert all(torch.equal(a, b) for a, b in zip(read_in_order(images, num_workers), images.inputs, strict=True))


def test_an_unreadable_image_in_a_worker_is_named(photos: Path):
    loader = stream(photos, 2)
    (photos / "cat" / "0.png").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"cat/0\.png"):
        list(loader.epoch(0))


def test_samples_of_different_shapes_are_named(photos: Path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(photos / "cat" / "0.png")
    split = image_folder(root=str(photos)).train
    loader = StreamingLoader(split, BatchSampler(len(split), len(split), shuffle=False, seed=0), None, CPU, 0)
    with pytest.raises(DataError, match=r"Samples differ in size: .*\[3, 8, 8\]"):
        list(loader.epoch(0))


def test_bad_samples_are_left_out_and_listed(photos: Path):
    for number in range(6):
        (photos / "cat" / f"{number}.png").write_bytes(b"<html>not found</html>")
    alone, two, larger = (stream(photos, *sizes, on_bad_sample="skip") for sizes in ((0,), (2,), (0, 9)))
    expected = samples(alone, 0)
    bad = {i for i in range(len(alone.split)) if Path(alone.split.name(i)).read_bytes()[:6] == b"<html>"}
    assert set(alone.bad_samples) == bad
    assert len(bad) > 1
    assert set(expected) == set(range(len(alone.split))) - bad
    assert all("is a web page" in reason for reason in alone.bad_samples.values())
    for other in (two, larger):
        actual = samples(other, 0)
        assert other.bad_samples == alone.bad_samples
        assert actual.keys() == expected.keys()
        assert all(torch.equal(actual[i], expected[i]) for i in expected)


def test_the_next_readable_sample_replaces_a_batch_of_bad_ones(photos: Path):
    loader = stream(photos, 0, 1, on_bad_sample="skip")
    bad = loader.split.name(5)
    Path(bad).write_bytes(b"")
    indices = [int(batch.indices) for batch in loader.epoch(0)]
    assert [loader.split.name(i) for i in loader.bad_samples] == [bad]
    assert sorted(indices) == sorted([*(i for i in range(len(loader.split)) if i != 5), 6])
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no training sample can be read"):
        list(loader.epoch(1))


@pytest.mark.slow
def test_workers_end_with_the_process_even_when_a_reference_cycle_holds_them():
    program = (
        "import torch\n"
        "from ptrun.data.loading.loader import BatchSampler\n"
        "from ptrun.data.loading.streaming import StreamingLoader\n"
        "from ptrun.data.splits import TensorSplit\n"
        "split = TensorSplit(torch.zeros(8, 2), torch.zeros(8), torch.arange(8))\n"
        "loader = StreamingLoader(split, BatchSampler(8, 2, shuffle=True, seed=0), None, torch.device('cpu'), 1)\n"
        "loader.itself = loader; half = loader.epoch(0); next(half); list(loader.epoch(1)); print('done')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (ended.stdout, ended.returncode) == ("done\n", 0), ended.stderr


@dataclass(frozen=True)
class ThreadCounts:
    """Each sample is the number of threads that torch uses where the sample is read."""

    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> torch.Tensor:
        return torch.tensor([torch.get_num_threads()])

    def name(self, index: int) -> str:
        return str(index)

    def fingerprint(self) -> str:
        return ""


@pytest.mark.parametrize("num_workers", [0, 1])
def test_samples_are_read_by_one_thread_and_training_keeps_all(num_workers: int):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        sampler = BatchSampler(4, 2, shuffle=False, seed=0)
        loader = StreamingLoader(ThreadCounts(torch.zeros(4)), sampler, None, CPU, num_workers)
        for batch in loader.epoch(0):
            assert batch.inputs.unique().tolist() == [1]
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_describe():
    sampler = BatchSampler(13, 2, shuffle=True, seed=1)
    sentences = [StreamingLoader(numbers(7), sampler, None, CPU, count).describe() for count in (0, 1, 2)]
    assert sentences == ["read from files", "read from files by 1 worker", "read from files by 2 workers"]


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
def test_workers_can_read_the_data_set_of_a_plugin(plugin: Path, method: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_pool, "START_METHOD", method)
    plugins.load([str(plugin)])
    split: Split = registry.datasets.build("squares_of_a_plugin", {})
    loader = StreamingLoader(split, BatchSampler(5, 2, shuffle=False, seed=0), None, CPU, 1, (1,))
    assert torch.cat([batch.inputs for batch in loader.epoch(0)]).flatten().tolist() == [0, 1, 4, 9, 16]
