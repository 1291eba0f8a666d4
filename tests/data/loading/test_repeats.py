"""Equal images in several parts are told, whether they are one file or copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptrun.data.dataset import Data
from ptrun.data.datasets.image_files import image_folder, image_list
from ptrun.data.loading import repeats
from ptrun.data.loading.file_check import image_splits
from ptrun.data.loading.repeats import notes_on_repeats


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in ("a", "b"):
        (tmp_path / "photos" / "train" / label).mkdir(parents=True)
        for number in range(8):
            pixels = np.random.default_rng((ord(label), number)).integers(0, 256, (5, 5, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / "train" / label / f"{number}.bmp")
    return tmp_path / "photos"


def notes(data: Data) -> list[str]:
    return notes_on_repeats(image_splits({"train": data.train, "val": data.val, "test": data.test}))


def test_different_images_of_one_size_are_no_repeats(photos: Path):
    assert notes(image_folder(root=str(photos))) == []


def test_copies_in_the_test_part(photos: Path):
    for label, source in (("a", "a/3.bmp"), ("b", "a/5.bmp")):
        (photos / "test" / label).mkdir(parents=True)
        shutil.copy(photos / "train" / source, photos / "test" / label / "copy.bmp")
    told = notes(image_folder(root=str(photos)))
    assert told[0].startswith("2 images occur more than once, for example ")
    assert "2 identical images stand in more than one of train, val and test" in told[1]
    assert told[2].startswith("1 identical images have different labels: ")
    assert "a/5.bmp (train)" in told[2] or "a/5.bmp (val)" in told[2]


@pytest.mark.parametrize("most", [2e8, 0])
def test_a_file_in_two_rows(photos: Path, monkeypatch: pytest.MonkeyPatch, most: float):
    monkeypatch.setattr(repeats, "MAX_READ_BYTES", most)
    files = sorted(photos.rglob("*.bmp"))
    rows = [f"{prefix}{path.relative_to(photos)},{path.parent.name}" for path in files for prefix in ("", "./")]
    (photos / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    told = notes(image_list(path=str(photos / "list.csv")))
    assert told[0].startswith("16 images occur more than once")
    assert len(told) == 2
