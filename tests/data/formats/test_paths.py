"""A path that does not exist is named in full, with the nearest name that does."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.data.formats.paths import existing_file, existing_folder, file_sizes
from ptrun.errors import DataError


def test_absent_file_names_the_absolute_path_and_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prices.csv").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=rf"dataset\.path: there is no file {tmp_path}/price\.csv\. Did you mean 'prices\.csv'"
    ):
        existing_file("price.csv", "dataset.path")
    with pytest.raises(DataError, match="is a folder; a file is needed"):
        existing_file(str(tmp_path), "dataset.path")
    with pytest.raises(DataError, match="is a file; a folder is needed"):
        existing_folder("prices.csv", "dataset.root")
    with pytest.raises(DataError, match="does not exist either"):
        existing_folder("a/b/c", "dataset.root")


def test_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert existing_file("~/a.csv", "dataset.path") == tmp_path / "a.csv"


def test_all_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    names = [str(tmp_path / name) for name in "abc"]
    assert file_sizes(names[:1], [2], "x.csv") == [3]
    with pytest.raises(DataError, match=rf"2 of 3 files can't be found: {names[1]} .*row 3.*{names[2]} .*row 4"):
        file_sizes(names, [2, 3, 4], "x.csv")
