"""`ptrun verify`: its arguments. What it finds is tested in tests/runs/test_verify.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support import Ended

Call = Callable[..., Ended]


def test_without_a_path_it_prints_its_help(ptrun: Call):
    assert ptrun("verify").out == ptrun("verify", "--help").out


def test_only_plugins_can_be_set(ptrun: Call):
    ended = ptrun("verify", "x", "seed=3")
    assert ended.code == 2
    assert "ptrun verify: seed can't be set here. Only plugins=[FILE.py] can." in ended.err


def test_a_file_with_an_equals_sign_in_its_name_is_a_path(folder: Path, ptrun: Call):
    (folder / "epoch=3.pt").write_bytes(b"not a checkpoint")
    ended = ptrun("verify", "epoch=3.pt")
    assert ended.code == 4
    assert "epoch=3.pt" in ended.out + ended.err
