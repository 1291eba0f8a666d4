"""Kept images equal read ones, are never stale, and a build that was interrupted leaves no trace."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ptrun import catalog
from ptrun.data.datasets.image_files import image_folder
from ptrun.data.loading import image_cache
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.data.splits import FileSplit
from ptrun.errors import DataError, ResourceError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline
from ptrun.transforms.pipeline import Pipeline

assert catalog.MODULES

CPU = torch.device("cpu")
SPEC = DataSpec(
    layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, 20, 24), num_outputs=2, class_names=("cat", "dog")
)
NORMALIZE = {"normalize": {"mean": 0.5, "std": 0.25}}
SAME_SIZE = [{"resize": {"size": [12, 10]}}, "horizontal_flip", {"random_crop": {"padding": 2}}, "mixup", NORMALIZE]
MANY_SIZES = [{"random_resized_crop": {"size": 9}}, "color_jitter", NORMALIZE]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.{'png' if number % 2 else 'jpg'}")
    return tmp_path / "photos"


def files(photos: Path, how: str, channels: int = 3) -> FileSplit:
    kept: Any = image_folder(root=str(photos), cache=how, cache_dir=str(photos.parent / "cache"), channels=channels).train  # type: ignore[arg-type]  # fmt: skip
    assert isinstance(kept, FileSplit)
    return kept


def line(transforms: list[Any]) -> Pipeline:
    return build_pipeline(transforms, SPEC)


def batches(split: FileSplit, transforms: list[Any], num_workers: int = 0, told: list[str] | None = None) -> Any:
    sampler = BatchSampler(len(split), 4, shuffle=True, seed=1)
    note = (lambda doing, done, total: told.append(doing)) if told is not None else (lambda *progress: None)
    return make_loader(split, sampler, line(transforms), CPU, num_workers, note)


def content(source: Any) -> list[Tensor]:
    return [torch.cat(part) for part in zip(*source.epoch(3), strict=True)]


@pytest.mark.parametrize("transforms", [SAME_SIZE, MANY_SIZES], ids=["same size", "many sizes"])
def test_kept_images_give_the_same_batches(photos: Path, transforms: list[Any]) -> None:
    expected = content(batches(files(photos, "none"), transforms))
    for how in ("ram", "disk"):
        for workers in (0, 2):
            source = batches(files(photos, how), transforms, workers)
            assert isinstance(source, InMemoryLoader if transforms is SAME_SIZE else StreamingLoader)
            assert all(torch.equal(a, b) for a, b in zip(content(source), expected, strict=True)), (how, workers)


def test_a_folder_is_read_once_and_shared(photos: Path) -> None:
    first, second = [], []
    expected = content(batches(files(photos, "disk"), SAME_SIZE, told=first))
    assert first
    split = files(photos, "disk")
    for path in split.paths:
        found = os.stat(path)
        Path(path).write_bytes(b"x" * found.st_size)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert all(
        torch.equal(a, b) for a, b in zip(content(batches(split, SAME_SIZE, told=second)), expected, strict=True)
    )
    assert not second


def test_changed_files_transforms_and_readers_are_read_again(photos: Path) -> None:
    told: list[str] = []
    split = files(photos, "disk")
    batches(split, SAME_SIZE, told=told)
    built = len(told)
    os.utime(split.paths[3], ns=(1, 1))
    expected = Image.fromarray(np.zeros((20, 24, 3), dtype=np.uint8))
    expected.save(split.paths[3])
    again = batches(files(photos, "disk"), SAME_SIZE, told=told)
    assert len(told) == 2 * built
    assert again.split.read(3).sum() == 0
    batches(split, [{"resize": {"size": [12, 11]}}, NORMALIZE], told=told)
    assert len(told) == 3 * built
    batches(files(photos, "disk", channels=1), [{"resize": {"size": [12, 10]}}], told=told)
    assert len(told) == 4 * built
    batches(split, [*SAME_SIZE[:1], "vertical_flip", NORMALIZE], told=told)
    assert len(told) == 4 * built, "random transforms do not decide what is kept"


def test_an_interrupted_build_leaves_nothing_that_is_used(photos: Path) -> None:
    split = files(photos, "disk")
    folder = photos.parent / "cache"
    pid = os.fork()
    if pid == 0:  # dies in the middle, as by a power cut

        def die(doing: str, done: int, total: int) -> None:
            if done == 7:
                os.kill(os.getpid(), signal.SIGKILL)

        make_loader(split, BatchSampler(len(split), 4, shuffle=True, seed=1), line(SAME_SIZE), CPU, 0, die)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert [path.name.split(".")[1][:7] for path in folder.iterdir() if path.is_dir()] == ["partial"]
    found = content(batches(split, SAME_SIZE))
    assert all(
        torch.equal(a, b) for a, b in zip(found, content(batches(files(photos, "none"), SAME_SIZE)), strict=True)
    )
    assert not list(folder.glob("*.partial*"))


def test_two_at_once_build_once(photos: Path) -> None:
    told: list[str] = []
    starts = threading.Barrier(2)

    def build() -> None:
        starts.wait()
        batches(files(photos, "disk"), SAME_SIZE, told=told)

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == len(files(photos, "disk")) + 1


def test_too_little_room_is_told_before_anything_is_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(image_cache, "AVAILABLE_SHARE", 0.0)
    with pytest.raises(
        ResourceError, match=r"dataset\.cache=ram needs about 1 MB for 18 images, and .* are free\. Use"
    ):
        batches(files(photos, "ram"), SAME_SIZE, told=told)
    monkeypatch.setattr("shutil.disk_usage", lambda path: os.statvfs_result((0,) * 10) and _Usage(10))
    with pytest.raises(ResourceError, match=r"dataset\.cache=disk needs about 1 MB in .*cache for 18 images"):
        batches(files(photos, "disk"), SAME_SIZE, told=told)
    assert not told


@dataclass
class _Usage:
    free: int


def test_a_damaged_folder_is_named(photos: Path) -> None:
    batches(files(photos, "disk"), SAME_SIZE)
    (pixels,) = (photos.parent / "cache").rglob("pixels.bin")
    pixels.write_bytes(pixels.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"The cache .* is damaged\. Delete this folder"):
        batches(files(photos, "disk"), SAME_SIZE)


def test_an_unreadable_image_is_named_and_nothing_kept(photos: Path) -> None:
    split = files(photos, "disk")
    Path(split.paths[5]).write_bytes(b"<html>")
    for workers in (0, 2):
        with pytest.raises(DataError, match="is a web page"):
            batches(split, SAME_SIZE, workers)
    assert not list((photos.parent / "cache").glob("*/pixels.bin"))


def _die(path: str) -> Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_killed_worker_is_one_sentence(photos: Path) -> None:
    split = replace(files(photos, "none"), reader=_die)
    with pytest.raises(ResourceError, match="A data worker died: it was killed, most likely by the system"):
        content(batches(split, SAME_SIZE, 1))
