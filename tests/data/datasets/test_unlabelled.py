"""Samples whose label is -100 are left out of each data set of classes, with a note; the others keep their rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptrun.data.dataset import Data
from ptrun.data.datasets.arrays import arrays
from ptrun.data.datasets.image_files import image_list
from ptrun.data.datasets.sequences import sequences
from ptrun.data.datasets.table import table

LABELS = [-100 if row % 5 == 4 else row % 2 for row in range(40)]
NOTE = "Samples without a label (-100), left out: 8."


def as_arrays(folder: Path) -> Data:
    np.savez(folder / "a.npz", x_train=np.arange(40.0)[:, None], y_train=np.array(LABELS))
    return arrays(path=str(folder / "a.npz"))


def as_table(folder: Path) -> Data:
    rows = [f"{row * row},{label}" for row, label in enumerate(LABELS)]
    (folder / "t.csv").write_text("\n".join(["x,y", *rows]))
    return table(path=str(folder / "t.csv"), target="y")


def as_sequences(folder: Path) -> Data:
    rows = [f"{label},{row * row},{row + 0.5}" for row, label in enumerate(LABELS)]
    (folder / "s.csv").write_text("\n".join(["label,t0,t1", *rows]))
    return sequences(path=str(folder / "s.csv"))


def as_image_list(folder: Path) -> Data:
    for row in range(len(LABELS)):
        Image.new("RGB", (4, 4), (row, 0, 0)).save(folder / f"{row}.png")
    (folder / "i.csv").write_text(
        "\n".join(["path,label", *(f"{row}.png,{label}" for row, label in enumerate(LABELS))])
    )
    return image_list(path=str(folder / "i.csv"))


@pytest.mark.parametrize("read", [as_arrays, as_table, as_sequences, as_image_list])
def test_samples_without_a_label_are_left_out(tmp_path: Path, read: Callable[[Path], Data]) -> None:
    data = read(tmp_path)
    assert data.spec.class_names == ("0", "1")
    assert NOTE in data.notes
    splits = (data.train, data.val, data.test)
    assert sum(len(split) for split in splits) == 32
    if read is not as_image_list:
        named = {split.name(i): int(split.targets[i]) for split in splits for i in range(len(split))}
        offset = 0 if read is as_arrays else 2  # a CSV file counts from 1, and its header is row 1
        assert named == {f"row {row + offset}": label for row, label in enumerate(LABELS) if label >= 0}
