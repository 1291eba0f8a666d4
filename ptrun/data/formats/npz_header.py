"""Tells from the first bytes of a .npz file whether its samples are images, vectors or sequences.

Invariant: loads no array and needs neither numpy nor torch, so that a configuration is checked at once; a file that
can't be read says nothing here (reading it tells why).
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

from ptrun.spec import Layout

LAYOUTS = {2: Layout.VECTOR, 3: Layout.SEQUENCE}
_HEADER = re.compile(rb"'descr': '([^']+)'.*'shape': \(([\d, ]*)\)", re.DOTALL)  # as numpy.lib.format writes it
_MOST_BYTES = 10_000  # of a header, as numpy has it


def array_layout(dtype: str, dimensions: int) -> Layout | None:
    """What an array of samples [N, ...] holds; None when it is nothing to learn from. `dtype` is numpy's short form, as "<f4"."""
    if dtype == "|u1" and dimensions in (3, 4):
        return Layout.IMAGE
    return LAYOUTS.get(dimensions) if dtype[1:2] in ("i", "u", "f") else None


def layout_in(path: str) -> Layout | None:
    """What the array x_train of a .npz file holds; None when that can't be told."""
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as file, file.open("x_train.npy") as array:
            found = _HEADER.search(array.read(_MOST_BYTES))
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    return array_layout(found[1].decode("latin-1"), len(re.findall(rb"\d+", found[2]))) if found else None
