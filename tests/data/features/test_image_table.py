"""Lists of images with and without a header line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.data.features.image_table import filled_column, read_image_table
from ptrun.errors import DataError


def test_a_first_line_that_names_an_image_is_data(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    path = tmp_path / "list.csv"
    path.write_text("a.png;cat\nb.png;dog\n")
    file = read_image_table(path, tmp_path, "auto", "auto")
    assert filled_column(file, "dataset.path_column", "auto", "path") == ["a.png", "b.png"]
    assert filled_column(file, "dataset.label_column", "auto", "label") == ["cat", "dog"]
    path.write_text("path;label\na.png;cat\n")
    assert filled_column(read_image_table(path, tmp_path, "auto", "auto"), "dataset.path_column", "path", "path") == [
        "a.png"
    ]
    assert len(read_image_table(path, tmp_path, False, "auto")) == 2


def test_an_empty_cell_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path,label\na.png,\n")
    with pytest.raises(DataError, match=r"row 2: the label \(column 'label'\) is empty"):
        filled_column(read_image_table(path, tmp_path, "auto", "auto"), "dataset.label_column", "label", "label")
