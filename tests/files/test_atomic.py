"""A replaced file is the old one or the whole new one, whatever ends the writing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from ptrun.files.atomic import remove_temporary_files, replace_by_link, replace_text, replacing, replacing_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [False, True])
def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path, durable: bool):
    path = tmp_path / "a.txt"
    path.write_text("old")
    replace_text(path, "größer\r\n", durable=durable)
    assert path.read_bytes() == "größer\r\n".encode()
    assert names(tmp_path) == ["a.txt"]


def test_the_old_content_is_there_until_the_block_ends(tmp_path: Path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path):
    """Not even when their processes have the same number, as in two containers."""
    path = tmp_path / "a.bin"
    with replacing(path) as outer:
        with replacing(path) as inner:
            inner.write(b"inner")
            outer.write(b"outer, longer")
        assert path.read_bytes() == b"inner"
    assert path.read_bytes() == b"outer, longer"
    assert names(tmp_path) == ["a.bin"]


def test_an_error_while_writing_keeps_the_old_content(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing_text(path) as file:
        file.write(str(1 / 0))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_kill_while_writing_keeps_the_old_content_and_leaves_what_can_be_cleaned(tmp_path: Path):
    path = tmp_path / "checkpoints" / "a.txt"
    path.parent.mkdir()
    path.write_text("old")
    program = (
        "import os, signal, sys; from pathlib import Path; from ptrun.files.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(names(path.parent)) == 2
    remove_temporary_files(tmp_path)
    assert names(path.parent) == ["a.txt"]


def test_the_file_has_the_mode_of_the_umask(tmp_path: Path):
    before = os.umask(0o027)
    try:
        replace_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_link_is_another_name_and_can_be_repeated(tmp_path: Path):
    one, two, name = tmp_path / "1", tmp_path / "2", tmp_path / "last"
    one.write_text("1")
    two.write_text("2")
    for target in (one, one, two):
        replace_by_link(name, target)
        assert name.samefile(target)
    assert names(tmp_path) == ["1", "2", "last"]


def test_where_there_are_no_hard_links_the_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("this file system has no hard links")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "1").write_text("content")
    replace_by_link(tmp_path / "last", tmp_path / "1")
    assert (tmp_path / "last").read_text() == "content"
    assert not (tmp_path / "last").samefile(tmp_path / "1")
    assert names(tmp_path) == ["1", "last"]
