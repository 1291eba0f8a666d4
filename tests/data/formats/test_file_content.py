"""Files with equal content have equal keys; files of one size are told apart."""

from __future__ import annotations

from pathlib import Path

from ptrun.data.formats.file_content import END_BYTES, content_keys


def keys(*paths: Path) -> list[int]:
    return content_keys([str(path) for path in paths], [path.stat().st_size for path in paths]).tolist()


def test_copies_are_equal_and_others_are_not(tmp_path: Path) -> None:
    end = b"x" * END_BYTES
    contents = {"a": b"1" + end, "copy": b"1" + end, "head": b"2" + end, "tail": b"1" + end[:-1] + b"y", "short": b"1"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = dict(zip(contents, keys(*(tmp_path / name for name in contents)), strict=True))
    assert found["a"] == found["copy"]
    assert len(set(found.values())) == 4


def test_empty_and_absent_files_equal_themselves_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    first, second, again = keys(tmp_path / "a", tmp_path / "b", tmp_path / "a")
    assert first == again != second
    absent = content_keys([str(tmp_path / "c"), str(tmp_path / "d"), f"{tmp_path}/./c"], [7, 7, 7]).tolist()
    assert absent[0] == absent[2] != absent[1]
