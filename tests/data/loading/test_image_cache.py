"""Cached images equal those in the files, are never stale, and a build that was interrupted is never used."""

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
from ptrun.data.datasets.image_files import Cache, image_folder
from ptrun.data.loading import image_cache
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler, Loader
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.data.splits import FileSplit
from ptrun.errors import DataError, ResourceError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

assert catalog.MODULES

CPU = torch.device("cpu")
SPEC = DataSpec(
    layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, 20, 24), num_outputs=2, class_names=("cat", "dog")
)
NORMALIZE = {"normalize": {"mean": 0.5, "std": 0.25}}
SAME_SIZE: list[Any] = [
    {"resize": {"size": [12, 10]}},
    "horizontal_flip",
    {"random_crop": {"padding": 2}},
    "mixup",
    NORMALIZE,
]
MANY_SIZES: list[Any] = [{"random_resized_crop": {"size": 9}}, "color_jitter", NORMALIZE]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.{'png' if number % 2 else 'jpg'}")
    return tmp_path / "photos"


def files(photos: Path, cache: Cache, channels: int = 3) -> FileSplit:
    split = image_folder(root=str(photos), cache=cache, cache_dir=str(photos.parent / "cache"), channels=channels).train
    assert isinstance(split, FileSplit)
    return split


def make(
    split: FileSplit, transforms: list[Any], num_workers: int = 0, messages: list[str] | None = None
) -> InMemoryLoader | StreamingLoader:
    """A loader of the split; `messages` gets one message for each image that is decoded for the cache."""

    def on_progress(message: str, done: int, total: int) -> None:
        if messages is not None:
            messages.append(message)

    sampler = BatchSampler(len(split), 4, shuffle=True, seed=1)
    loader = make_loader(split, sampler, build_pipeline(transforms, SPEC), CPU, num_workers, on_progress)
    assert isinstance(loader, InMemoryLoader | StreamingLoader)
    return loader


def content(loader: Loader) -> list[Tensor]:
    return [torch.cat(part) for part in zip(*loader.epoch(3), strict=True)]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("transforms", [SAME_SIZE, MANY_SIZES], ids=["same size", "many sizes"])
def test_cached_images_give_the_same_batches(photos: Path, transforms: list[Any]) -> None:
    expected = content(make(files(photos, "none"), transforms))
    caches: tuple[Cache, ...] = ("ram", "disk")
    for cache in caches:
        for workers in (0, 2):
            loader = make(files(photos, cache), transforms, workers)
            assert isinstance(loader, InMemoryLoader if transforms is SAME_SIZE else StreamingLoader)
            assert equal(content(loader), expected), (cache, workers)


def test_a_folder_is_read_once_and_shared(photos: Path) -> None:
    first: list[str] = []
    second: list[str] = []
    expected = content(make(files(photos, "disk"), SAME_SIZE, messages=first))
    assert first[0].startswith(f"caching 18 decoded images in {photos.parent / 'cache'}")
    split = files(photos, "disk")
    for path in split.paths:
        status = os.stat(path)
        Path(path).write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert equal(content(make(split, SAME_SIZE, messages=second)), expected)
    assert not second


def test_changed_files_transforms_and_readers_are_read_again(photos: Path) -> None:
    messages: list[str] = []
    split = files(photos, "disk")
    make(split, SAME_SIZE, messages=messages)
    built = len(messages)
    os.utime(split.paths[3], ns=(1, 1))
    expected = Image.fromarray(np.zeros((20, 24, 3), dtype=np.uint8))
    expected.save(split.paths[3])
    again = make(files(photos, "disk"), SAME_SIZE, messages=messages)
    assert len(messages) == 2 * built
    assert again.split.read(3).sum() == 0
    make(split, [{"resize": {"size": [12, 11]}}, NORMALIZE], messages=messages)
    assert len(messages) == 3 * built
    make(files(photos, "disk", channels=1), [{"resize": {"size": [12, 10]}}], messages=messages)
    assert len(messages) == 4 * built
    make(split, [*SAME_SIZE[:1], "vertical_flip", NORMALIZE], messages=messages)
    assert len(messages) == 4 * built, "random transforms do not decide what is cached"


def test_an_interrupted_build_leaves_nothing_that_is_used(photos: Path) -> None:
    split = files(photos, "disk")
    folder = photos.parent / "cache"
    pid = os.fork()
    if pid == 0:  # dies in the middle, as by a power cut

        def die(message: str, done: int, total: int) -> None:
            if done == 7:
                os.kill(os.getpid(), signal.SIGKILL)

        make_loader(
            split, BatchSampler(len(split), 4, shuffle=True, seed=1), build_pipeline(SAME_SIZE, SPEC), CPU, 0, die
        )
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert [path.name.split(".")[1][:7] for path in folder.iterdir() if path.is_dir()] == ["partial"]
    assert equal(content(make(split, SAME_SIZE)), content(make(files(photos, "none"), SAME_SIZE)))
    assert not list(folder.glob("*.partial*"))


def test_two_at_once_build_once(photos: Path) -> None:
    messages: list[str] = []
    starts = threading.Barrier(2)

    def build() -> None:
        starts.wait()
        make(files(photos, "disk"), SAME_SIZE, messages=messages)

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(messages) == len(files(photos, "disk")) + 1


def test_too_little_room_is_an_error_before_anything_is_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []
    monkeypatch.setattr(image_cache, "MEMORY_SHARE", 0.0)
    with pytest.raises(
        ResourceError, match=r"dataset\.cache=ram needs about [0-9.]+ kB for 18 images, and .* are free\. Use"
    ):
        make(files(photos, "ram"), SAME_SIZE, messages=messages)
    monkeypatch.setattr("shutil.disk_usage", lambda path: os.statvfs_result((0,) * 10) and _Usage(10))
    with pytest.raises(ResourceError, match=r"dataset\.cache=disk needs about [0-9.]+ kB in .*cache for 18 images"):
        make(files(photos, "disk"), SAME_SIZE, messages=messages)
    assert not messages


@dataclass
class _Usage:
    free: int


def test_a_damaged_folder_is_named(photos: Path) -> None:
    make(files(photos, "disk"), SAME_SIZE)
    (pixels,) = (photos.parent / "cache").rglob("pixels.bin")
    pixels.write_bytes(pixels.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"The cache .* is damaged\. Delete this folder"):
        make(files(photos, "disk"), SAME_SIZE)


def test_an_unreadable_image_is_named_and_nothing_is_cached(photos: Path) -> None:
    split = files(photos, "disk")
    Path(split.paths[5]).write_bytes(b"<html>")
    for workers in (0, 2):
        with pytest.raises(DataError, match="is a web page"):
            make(split, SAME_SIZE, workers)
    assert not list((photos.parent / "cache").glob("*/pixels.bin"))


def _die(path: str) -> Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_killed_worker_is_one_sentence(photos: Path) -> None:
    split = replace(files(photos, "none"), reader=_die)
    with pytest.raises(ResourceError, match="A data worker died: it was killed, most likely by the system"):
        content(make(split, SAME_SIZE, 1))
