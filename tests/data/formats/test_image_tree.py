"""Images are found below a folder also by links; what is passed over is counted by kind."""

from __future__ import annotations

import os
from pathlib import Path

from ptrun.data.formats.image_tree import images_below, visible_folders
from ptrun.data.inputs.images import find_images


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_kinds_are_counted_and_what_to_do_about_them_is_said(tmp_path: Path):
    touch(*(tmp_path / f"{i}.HEIC" for i in range(3)), tmp_path / "a.jfif", tmp_path / "b.GIF", tmp_path / "notes")
    touch(tmp_path / "Thumbs.db", tmp_path / "@eaDir" / "a.jpg", tmp_path / "._a.jpg")
    paths, passed_over = images_below(tmp_path)
    assert [Path(path).name for path in paths] == ["a.jfif", "b.GIF"]
    assert passed_over.notes() == [
        "Hidden files or folders, ignored: 3.",
        "Files that are not named like images, ignored: 3 .heic, 1 without suffix.",
        "Images of the kind .heic are not read. Convert them to JPEG or PNG.",
    ]


def test_links_are_followed_but_no_folder_is_read_twice(tmp_path: Path):
    touch(tmp_path / "store" / "1.png", tmp_path / "here" / "2.png")
    os.symlink(tmp_path / "store", tmp_path / "here" / "linked")
    os.symlink(tmp_path / "here", tmp_path / "here" / "again")  # a loop
    paths, passed_over = images_below(tmp_path / "here")
    assert [str(Path(path).relative_to(tmp_path / "here")) for path in paths] == ["2.png", "linked/1.png"]
    assert passed_over.loops == [str(tmp_path / "here" / "again")]
    assert "Links to folders that are read anyway, passed over" in passed_over.notes()[0]
    assert find_images([str(tmp_path / "here")])[0] == paths


def test_a_link_to_a_folder_above_is_passed_over(tmp_path: Path):
    touch(tmp_path / "all" / "cat" / "1.png", tmp_path / "all" / "dog" / "2.png")
    os.symlink(tmp_path / "all", tmp_path / "all" / "cat" / "up")
    os.symlink(tmp_path / "all", tmp_path / "linked")
    for root in ("all", "linked"):
        paths, passed_over = images_below(tmp_path / root / "cat")
        assert [Path(path).name for path in paths] == ["1.png"]
        assert passed_over.loops == [str(tmp_path / root / "cat" / "up")]


def test_folders_of_systems_are_no_folders(tmp_path: Path):
    touch(tmp_path / "__MACOSX" / "x", tmp_path / ".git" / "x", tmp_path / "cat" / "x", tmp_path / "file")
    assert [path.name for path in visible_folders(tmp_path)] == ["cat"]
