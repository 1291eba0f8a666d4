"""The layout of a .npz file is known without numpy and torch, and a damaged file has none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptrun.data.formats.npz_header import array_layout, layout_in
from ptrun.spec import Layout


@pytest.mark.parametrize(
    ("dtype", "shape", "layout"),
    [
        ("uint8", (2, 4, 4), Layout.IMAGE),
        ("uint8", (2, 4, 4, 3), Layout.IMAGE),
        ("uint8", (2, 4), Layout.VECTOR),
        ("float32", (2, 4), Layout.VECTOR),
        (">i2", (2, 4, 3), Layout.SEQUENCE),
        ("float64", (2, 4, 4, 3), None),
        ("U5", (2, 4), None),
        ("float32", (2,), None),
    ],
)
def test_layouts(tmp_path: Path, dtype: str, shape: tuple[int, ...], layout: Layout | None) -> None:
    x = np.zeros(shape, dtype)
    assert array_layout(x.dtype.str, x.ndim) == layout
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", y_train=np.zeros(2), x_train=x)
        assert layout_in(str(tmp_path / "a.npz")) == layout


def test_a_file_that_cannot_be_read_has_no_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert layout_in(str(path)) is None
    np.savez(path, x=np.zeros((2, 4)))
    assert layout_in(str(path)) is None
    path.write_bytes(b"not a zip file")
    assert layout_in(str(path)) is None


def test_neither_numpy_nor_torch_is_imported() -> None:
    program = "import sys; import ptrun.data.formats.npz_header; print({'numpy', 'torch'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
