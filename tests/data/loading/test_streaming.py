"""Batches are addressed: order and augmentation depend on (seed, epoch, index), not on workers, size or history."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ptrun.build import run
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler, Loader
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.data.splits import TensorSplit
from ptrun.errors import DataError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

CPU = torch.device("cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(
                tmp_path / "photos" / label / f"{number}.png"
            )
    return tmp_path / "photos"


def streams(photos: Path, num_workers: int, batch_size: int = 4) -> Loader:
    train = "[{resize:{size:[12,12]}},{random_crop:{padding:2}},{horizontal_flip:{}},{normalize:{mean:half,std:half}}]"
    config = load.load_config(Composer(), ["dataset=image_folder", f"dataset.root={photos}", f"train.num_workers={num_workers}", f"train.batch_size={batch_size}",
                                       "transform=basic", f"transform.train={train}", "transform.eval=[{resize:{size:[12,12]}},{normalize:{mean:half,std:half}}]"]).config  # fmt: skip
    return run.build(auto.resolve_auto(config)[0]).experiment.train


def samples(source: Loader, epoch: int) -> dict[int, torch.Tensor]:
    return {int(i): x for batch in source.epoch(epoch) for i, x in zip(batch.indices, batch.inputs, strict=True)}


def test_workers_and_batch_size_do_not_change_a_sample(photos: Path):
    alone, two, larger = streams(photos, 0), streams(photos, 2), streams(photos, 0, batch_size=5)
    for epoch in (0, 1):
        expected = samples(alone, epoch)
        assert len(expected) == len(alone.split)
        for other in (two, larger):
            found = samples(other, epoch)
            assert found.keys() == expected.keys()
            assert all(torch.equal(found[i], expected[i]) for i in expected)
    first, second = samples(alone, 0), samples(alone, 1)
    assert any(not torch.equal(first[i], second[i]) for i in first), "augmentation should differ between epochs"


def test_the_order_is_a_function_of_seed_and_epoch():
    sampler = BatchSampler(10, 3, shuffle=True, seed=4)
    torch.manual_seed(0)
    first = sampler.order(2)
    torch.rand(7)
    assert torch.equal(sampler.order(2), first)
    assert not torch.equal(sampler.order(3), first)
    assert not torch.equal(BatchSampler(10, 3, shuffle=True, seed=5).order(2), first)
    assert sorted(first.tolist()) == list(range(10))


def test_an_epoch_can_start_anywhere(photos: Path):
    source = streams(photos, 0)
    whole = [batch.inputs for batch in source.epoch(1)]
    rest = [batch.inputs for batch in source.epoch(1, start=2)]
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_batches_leave_the_global_random_state_alone(photos: Path):
    for workers in (0, 2):
        source = streams(photos, workers)
        before = torch.get_rng_state()
        list(source.epoch(0))
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("count", "size", "drop_last", "skip_single", "sizes"), [(10, 3, False, False, [3, 3, 3, 1]), (10, 3, True, False, [3, 3, 3]), (10, 3, False, True, [3, 3, 3]), (9, 3, False, True, [3, 3, 3])])  # fmt: skip
def test_how_a_split_is_cut(count: int, size: int, drop_last: bool, skip_single: bool, sizes: list[int]):
    sampler = BatchSampler(count, size, shuffle=False, seed=0, drop_last=drop_last, skip_single=skip_single)
    split = TensorSplit(torch.arange(count, dtype=torch.float32)[:, None], torch.arange(count), torch.arange(count))
    for source in (InMemoryLoader(split, sampler, None, CPU), StreamingLoader(split, sampler, None, CPU, 0)):
        found = list(source.epoch(0))
        assert [len(batch.targets) for batch in found] == sizes == [sampler.size(k) for k in range(len(sampler))]
        assert torch.equal(torch.cat([b.inputs[:, 0] for b in found]).long(), torch.cat([b.targets for b in found]))


def test_resident_and_streamed_batches_are_equal():
    images = torch.randint(0, 256, (11, 1, 6, 6), dtype=torch.uint8)
    split = TensorSplit(images, torch.arange(11), torch.arange(11))
    sampler = BatchSampler(11, 4, shuffle=True, seed=3)
    resident, streamed = (
        InMemoryLoader(split, sampler, None, CPU),
        StreamingLoader(split, sampler, None, CPU, 2),
    )
    for a, b in zip(resident.epoch(5), streamed.epoch(5), strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
        assert torch.equal(a.indices, b.indices)


AUGMENT = ["horizontal_flip", {"random_crop": {"padding": 2}}, {"rand_augment": {"num_ops": 1}}, "cutmix", "mixup"]


def test_augmented_batches_are_equal_resident_and_streamed_and_for_any_batch_size():
    images = torch.randint(0, 256, (26, 3, 9, 9), dtype=torch.uint8)
    split = TensorSplit(images, torch.arange(26) % 3, torch.arange(26))
    spec = DataSpec(
        layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, 9, 9), num_outputs=3, class_names=("a", "b", "c")
    )
    line = build_pipeline([*AUGMENT, {"normalize": {"mean": 0.5, "std": 0.5}}], spec)
    found = []
    for size, kind in ((4, "resident"), (8, "resident"), (4, "streamed")):
        sampler = BatchSampler(26, size, shuffle=True, seed=3)
        source = InMemoryLoader(split, sampler, line, CPU) if kind == "resident" else StreamingLoader(split, sampler, line, CPU, 2)  # fmt: skip
        found.append([torch.cat(part) for part in zip(*source.epoch(1), strict=True)])
        assert not torch.equal(found[-1][0], torch.cat([batch.inputs for batch in source.epoch(2)]))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    assert found[0][1].shape == (26, 3)


def test_no_batch_at_all_is_told():
    split = TensorSplit(torch.zeros(5, 2), torch.zeros(5, dtype=torch.long), torch.arange(5))
    with pytest.raises(DataError, match=r"5 samples, which give no batch of 8 because train\.drop_last"):
        make_loader(split, BatchSampler(5, 8, shuffle=True, seed=0, drop_last=True), None, CPU, 0)


def test_an_unreadable_image_in_a_worker_is_one_sentence_naming_it(photos: Path):
    broken = photos / "cat" / "0.png"
    source = streams(photos, 2)
    broken.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"cat/0\.png"):
        list(source.epoch(0))


def test_own_transforms_are_kept_when_the_rest_is_chosen_by_the_data():
    config = load.load_config(Composer(), ["transform.train=[cutout, normalize]"]).config
    chosen = auto.resolve_auto(config)[0].transform
    assert chosen.name == "normalize"
    assert [next(iter(step)) if isinstance(step, dict) else step for step in chosen.settings["train"]] == [
        "cutout",
        "normalize",
    ]
    assert len(chosen.settings["eval"]) == 1


def test_one_part_of_a_chosen_transform_can_be_left_to_the_data():
    config = load.load_config(Composer(), ["transform=basic", "transform.eval=auto"]).config
    config, decisions = auto.resolve_auto(config)
    by_data = auto.resolve_auto(load.load_config(Composer(), []).config)[0].transform
    assert config.transform.name == "basic"
    assert [next(iter(step)) for step in config.transform.settings["train"]] == ["random_crop", "horizontal_flip", "normalize"]  # fmt: skip
    assert config.transform.settings["eval"] == by_data.settings["eval"]
    assert ("transform.eval", "auto", "that of normalize") in decisions


def skipping(photos: Path, num_workers: int, batch_size: int = 4) -> Loader:
    config = load.load_config(Composer(), ["dataset=image_folder", f"dataset.root={photos}", f"train.num_workers={num_workers}", f"train.batch_size={batch_size}",
                                       "dataset.on_bad_sample=skip", "transform=basic"]).config  # fmt: skip
    return run.build(auto.resolve_auto(config)[0]).experiment.train


def test_bad_samples_are_left_out_and_listed(photos: Path):
    for number in range(6):
        (photos / "cat" / f"{number}.png").write_bytes(b"<html>not found</html>")
    alone, two, larger = (skipping(photos, *how) for how in ((0,), (2,), (0, 9)))
    expected = samples(alone, 0)
    bad = {i for i in range(len(alone.split)) if Path(alone.split.name(i)).read_bytes()[:6] == b"<html>"}
    assert set(alone.bad_samples) == bad
    assert len(bad) > 1
    assert set(expected) == set(range(len(alone.split))) - bad
    assert all("is a web page" in reason for reason in alone.bad_samples.values())
    for other in (two, larger):
        found = samples(other, 0)
        assert other.bad_samples == alone.bad_samples
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[i], expected[i]) for i in expected)


def test_for_a_batch_of_bad_samples_the_next_readable_one_stands_in(photos: Path):
    source = skipping(photos, 0, 1)
    bad = source.split.name(5)
    Path(bad).write_bytes(b"")
    found = [int(batch.indices) for batch in source.epoch(0)]
    assert [source.split.name(i) for i in source.bad_samples] == [bad]
    assert sorted(found) == sorted([*(i for i in range(len(source.split)) if i != 5), 6])
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no training sample can be read"):
        list(source.epoch(1))


def test_workers_end_with_the_process_whatever_holds_them(tmp_path: Path):
    program = (
        "import torch; from ptrun.data.loading.loader import BatchSampler; from ptrun.data.loading.streaming import StreamingLoader\n"
        "from ptrun.data.splits import TensorSplit\n"
        "split = TensorSplit(torch.zeros(8, 2), torch.zeros(8), torch.arange(8))\n"
        "kept = StreamingLoader(split, BatchSampler(8, 2, shuffle=True, seed=0), None, torch.device('cpu'), 1)\n"
        "kept.self = kept; half = kept.epoch(0); next(half); list(kept.epoch(1)); print('done')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


@dataclass(frozen=True)
class CountsThreads:
    """Samples that say with how many threads torch computes where they are read."""

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
def test_samples_are_read_by_one_thread_and_the_rest_goes_on_with_all(num_workers: int):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        source = StreamingLoader(CountsThreads(torch.zeros(4)), BatchSampler(4, 2, shuffle=False, seed=0), None, CPU, num_workers)  # fmt: skip
        for batch in source.epoch(0):
            assert batch.inputs.unique().tolist() == [1]
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
