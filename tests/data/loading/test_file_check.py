"""Image files that can't be read are found before training, in all parts at once, and good ones are remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Ended, newest_run

from ptrun.data.datasets.image_files import image_folder
from ptrun.data.loading import file_check
from ptrun.data.loading.file_check import FileCheck, bad_files_text, check_files, image_splits

Call = Callable[..., Ended]
TRAIN = ("train", "dataset=image_folder", "dataset.root=photos", "model=simplenet", "transform=normalize")
FAST = ("train.epochs=1", "train.num_workers=0")


@pytest.fixture
def photos(folder: Path) -> Path:
    """Folders train, val and test of two classes with 8, 4 and 4 files each."""
    for part, count in (("train", 8), ("val", 4), ("test", 4)):
        for label, level in (("hill", 200), ("lake", 40)):
            (folder / "photos" / part / label).mkdir(parents=True)
            for number in range(count):
                pixels = np.random.default_rng(number).integers(level, level + 40, (9, 9, 3), np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / part / label / f"{number}.jpg")
    return folder / "photos"


def check(photos: Path, memory: Path, calls: list[tuple[str, int, int]], num_workers: int = 0) -> FileCheck:
    data = image_folder(root=str(photos))
    splits = image_splits({"train": data.train, "val": data.val, "test": data.test})
    return check_files(splits, memory, num_workers, lambda *call: calls.append(call))


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def named(found: FileCheck) -> list[tuple[str, str]]:
    return [(part, Path(reason.split()[0]).name) for part, reasons in found.bad.items() for reason in reasons.values()]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("most", [20_000, 3])
def test_all_bad_files_are_found(photos: Path, monkeypatch: pytest.MonkeyPatch, num_workers: int, most: int):
    monkeypatch.setattr(file_check, "MAX_DECODED_FILES", most)
    monkeypatch.setattr(file_check, "FEW_FILES", 1)
    damage(photos / "train" / "lake" / "3.jpg")
    (photos / "val" / "hill" / "1.jpg").write_bytes(b"")
    (photos / "test" / "lake" / "2.jpg").write_text("<html>")
    calls: list[tuple[str, int, int]] = []
    found = check(photos, photos.parent / "memory", calls, num_workers)
    assert named(found) == [("train", "3.jpg"), ("val", "1.jpg"), ("test", "2.jpg")]
    work = "checking 32 image files" if most > 32 else "checking the first and last bytes of 32 image files"
    assert (calls[0], calls[-1]) == ((work, 0, 32), (work, 32, 32))


def test_bytes_after_an_image_are_no_damage(photos: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_check, "MAX_DECODED_FILES", 3)
    path = photos / "train" / "lake" / "3.jpg"
    path.write_bytes(path.read_bytes() + b"a trailer of the camera")
    assert check(photos, photos.parent, []).bad == {}


def test_only_new_and_changed_files_are_checked_again(photos: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_check, "FEW_FILES", 0)
    damage(photos / "train" / "lake" / "3.jpg")
    memory, calls = photos.parent / "memory", []
    assert len(check(photos, memory, calls).bad["train"]) == 1
    path = photos / "val" / "hill" / "0.jpg"
    os.utime(path, ns=(1, 1))
    calls.clear()
    assert named(check(photos, memory, calls)) == [("train", "3.jpg")]
    assert calls[-1] == ("checking 2 image files", 2, 2)
    for file in memory.iterdir():
        file.write_bytes(b"damaged")
    calls.clear()
    check(photos, memory, calls)
    assert calls[-1][1:] == (32, 32)


def test_a_memory_that_cannot_be_written_is_no_error(photos: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_check, "FEW_FILES", 0)
    (photos.parent / "file").touch()
    assert check(photos, photos.parent / "file" / "memory", []).bad == {}


def test_a_message_names_twenty():
    text = bad_files_text(FileCheck({"train": {i: f"{i}.png is empty." for i in range(23)}}, ""), 100)
    assert text.startswith("23 of 100 image files can't be read (train 23):\n  0.png is empty.\n")
    assert text.endswith("\n  19.png is empty.\n  and 3 more")


def test_training_is_refused_before_it_begins_or_leaves_them_out(photos: Path, folder: Path, ptrun: Call):
    for path in ("train/hill/0.jpg", "val/lake/1.jpg", "test/hill/2.jpg", "test/hill/3.jpg"):
        damage(photos / path)
    ended = ptrun(*TRAIN, *FAST)
    assert ended.code == 3
    assert "4 of 32 image files can't be read (train 1, val 1, test 2)" in ended.err
    assert all(path in ended.err for path in ("train/hill/0.jpg", "val/lake/1.jpg", "test/hill/2.jpg"))
    ended = ptrun(*TRAIN, *FAST, "dataset.on_bad_sample=skip")
    assert ended.code == 0, ended.err
    run = newest_run(folder)
    assert "1 of 16 training samples could not be read and were left out, and 3 of validation and test" in ended.out
    assert len(json.loads((run / "bad_samples.json").read_text())) == 4
    assert json.loads((run / "test" / "metrics.json").read_text())["num_samples"] == 6
    ended = ptrun("eval", f"checkpoint={run}", "split=train")
    assert ended.code == 0, ended.err
    assert "Left out: 1 of 16 image files can't be read" in ended.out


def test_a_part_without_a_good_file(photos: Path, ptrun: Call):
    for path in (photos / "test").rglob("*.jpg"):
        path.write_bytes(b"")
    ended = ptrun(*TRAIN, *FAST, "dataset.on_bad_sample=skip")
    assert ended.code == 3
    assert "no file of the test part can be read" in ended.err
