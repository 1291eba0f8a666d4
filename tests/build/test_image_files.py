"""Bad image files end what is built, or leave out samples, as the setting says; other data pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptrun.build.image_files import check_image_files
from ptrun.data.datasets.image_files import image_folder
from ptrun.data.datasets.scikit_learn import iris
from ptrun.errors import DataError

PARTS = ("train", "val", "test")


def silent(message: str, done: int, total: int) -> None:
    pass


def test_bad_files_of_each_part(tmp_path: Path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(10):
            Image.fromarray(np.full((4, 4, 3), 20 * (label == "b") + number, np.uint8)).save(
                tmp_path / label / f"{number}.png"
            )
    data = image_folder(root=str(tmp_path), on_bad_sample="skip")
    bad = [data.train.name(0), data.test.name(1)]
    for path in bad:
        Path(path).write_bytes(b"")
    checked, left_out = check_image_files(data, PARTS, 0, silent)
    assert list(left_out) == bad[1:]
    assert [len(getattr(checked, part)) for part in PARTS] == [14, 2, 3]
    assert bad[1] not in [checked.test.name(i) for i in range(3)]
    with pytest.raises(DataError, match=r"2 of 20 image files can't be read \(train 1, test 1\)"):
        check_image_files(image_folder(root=str(tmp_path)), PARTS, 0, silent)
    assert check_image_files(image_folder(root=str(tmp_path)), ["val"], 0, silent)[1] == {}


def test_other_data_are_not_read():
    data = iris()
    assert check_image_files(data, PARTS, 0, silent) == (data, {})
