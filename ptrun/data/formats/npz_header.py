"""Finds out from the first bytes of a .npz file whether its samples are images, vectors or sequences.

It needs neither numpy nor torch, because the check of a configuration uses it before they are imported.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

from ptrun.spec import Layout

LAYOUTS = {2: Layout.VECTOR, 3: Layout.SEQUENCE}
_HEADER = re.compile(rb"'descr': '([^']+)'.*'shape': \(([\d, ]*)\)", re.DOTALL)  # as numpy.lib.format writes it
_MAX_HEADER_BYTES = 10_000  # numpy's own limit


def array_layout(dtype: str, dimensions: int) -> Layout | None:
    """What an array of samples [N, ...] holds; None for other types and shapes. `dtype` is a short form, as "<f4"."""
    if dtype == "|u1" and dimensions in (3, 4):
        return Layout.IMAGE
    return LAYOUTS.get(dimensions) if dtype[1:2] in ("i", "u", "f") else None


def layout_in(path: str) -> Layout | None:
    """What the array x_train of a .npz file holds; None when it can't be read, which loading the data then explains."""
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as file, file.open("x_train.npy") as array:
            header = _HEADER.search(array.read(_MAX_HEADER_BYTES))
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    return array_layout(header[1].decode("latin-1"), len(re.findall(rb"\d+", header[2]))) if header else None
