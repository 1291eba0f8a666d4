"""Names of parts in many spellings, and names that are none."""

from __future__ import annotations

import pytest

from ptrun.data.formats.part_names import part_called


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("TRAIN", "train"),
        ("Training Set", "train"),
        ("seg_train", "train"),
        ("trainset", "train"),
        ("01-valid", "val"),
        ("Dev", "val"),
        ("test_images", "test"),
        ("TestData", "test"),
        ("control", None),
        ("trains", None),
        ("train_test", None),
        ("contest", None),
        ("images", None),
    ],
)
def test_names_of_parts(name: str, part: str | None):
    assert part_called(name) == part
