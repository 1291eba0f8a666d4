"""Damage in the archives that torch.save writes, and why torch.load refuses one."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from ptrun.files.torch_archive import ZIP_DAMAGES, damaged_record, why_refused


class Foreign:
    """A class that an archive may name."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save({"w": torch.arange(1000.0)}, tmp_path / "a.pt")
    return tmp_path / "a.pt"


def test_a_whole_archive_has_no_damaged_record(path: Path):
    with zipfile.ZipFile(path) as archive:
        assert damaged_record(archive) is None


def test_a_flipped_bit_is_found_by_its_record(path: Path):
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 100] ^= 1
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert str(damaged_record(archive)).endswith("data/0")


def test_a_record_marked_as_a_folder_is_damage(path: Path):
    """zipfile does not check the content of a folder, and torch gives a tensor of uninitialized memory for it."""
    with zipfile.ZipFile(path) as archive:
        archive.getinfo("a/data/0").external_attr |= 0x10
        with pytest.raises(ZIP_DAMAGES, match="marked as a folder"):
            damaged_record(archive)


def test_the_reason_names_the_class_and_gives_no_advice_to_run_it(tmp_path: Path):
    torch.save({"w": Foreign()}, tmp_path / "b.pt")
    with pytest.raises(pickle.UnpicklingError) as raised:
        torch.load(tmp_path / "b.pt", weights_only=True)
    reason = why_refused(raised.value)
    assert "Foreign, which is neither a tensor nor plain data" in reason
    assert "weights_only" not in reason


def test_other_errors_give_their_first_line():
    assert why_refused(ValueError("first\nsecond")) == "first"
    assert why_refused(EOFError()) == "EOFError"


def test_what_is_no_archive_raises_a_listed_error():
    with pytest.raises(ZIP_DAMAGES):
        zipfile.ZipFile(io.BytesIO(b"<html>404</html>"))
