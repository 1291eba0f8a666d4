"""idx and CIFAR files are read whole or refused, and a pickle in them can't run code."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptrun.data.formats.idx_and_cifar import read_batch, read_idx
from ptrun.errors import DataError


def idx(values: np.ndarray[Any, Any]) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path: Path, suffix: str) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(idx(values)) if suffix else idx(values))
    assert np.array_equal(read_idx(path), values)


def test_cifar_batches(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 6)
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": pixels, b"labels": [3, 4]}, protocol=2))
    batch = read_batch(path)
    assert np.array_equal(batch["data"], pixels)
    assert batch["labels"] == [3, 4]


def test_damaged_idx_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content, message in {
        b"": "not an idx file",
        b"<html>": "not an idx file",
        idx(np.zeros((2, 3)))[:-1]: "is damaged: its header promises",
        b"\0\0\x08\x02\0\0": "is damaged",
    }.items():
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(path)
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(idx(np.zeros((20, 30))))[:-9])
    with pytest.raises(DataError, match="is damaged"):
        read_idx(packed)


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("attacked",)


def test_pickles_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": _Attack()}, protocol=2))
    with pytest.raises(DataError, match=r"data_batch_1 can't be read as a CIFAR file: it asks for \w+\.mkdir"):
        read_batch(path)
    assert not (tmp_path / "attacked").exists()


def test_other_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match="is not a CIFAR file: it holds a list"):
        read_batch(path)
