"""Finds out from the first bytes of a .npz file whether its samples are images, vectors or sequences.

It needs neither numpy nor torch, because the check of a configuration uses it before they are imported. Only where the
values decide, and the caller wants to know, they are read.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ptrun.spec import Layout

LAYOUTS = {2: Layout.VECTOR, 3: Layout.SEQUENCE}
SETTINGS = ("auto", *Layout, "by_type")  # of dataset.layout
MIN_IMAGE_SIDE = 8  # smaller arrays of numbers are never taken for gray images
MAX_IMAGE_ASPECT = 2  # nor are those with sides that differ more
_HEADER = re.compile(rb"'descr': '([^']+)'.*'shape': \(([\d, ]*)\)", re.DOTALL)  # as numpy.lib.format writes it
_MAX_HEADER_BYTES = 10_000  # numpy's own limit
_KINDS = {
    **dict.fromkeys(("x", "images", "image", "data", "inputs", "features"), "x"),
    **dict.fromkeys(("y", "labels", "label", "targets", "classes"), "y"),
}
_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test"}


def array_role(name: str) -> tuple[str, str] | None:
    """("x" or "y", part) for a name such as x_train, Y_valid or test_images; None for others."""
    words = name.lower().split("_")
    kinds = [_KINDS[word] for word in words if word in _KINDS]
    parts = [_PARTS[word] for word in words if word in _PARTS]
    return (kinds[0], parts[0]) if len(words) == 2 and len(kinds) == len(parts) == 1 else None


def array_layout(dtype: str, dimensions: int) -> Layout | None:
    """What an array of samples [N, ...] holds by its type; None for other types and shapes. `dtype`: as "<f4"."""
    if dtype == "|u1" and dimensions in (3, 4):
        return Layout.IMAGE
    return LAYOUTS.get(dimensions) if dtype[1:2] in ("i", "u", "f") else None


def layout_by_header(dtype: str, shape: Sequence[int], setting: str = "auto") -> Layout | None:
    """What an array holds by type and shape, as dataset.layout says; None for others, and where the values decide."""
    if setting in tuple(Layout):
        return Layout(setting)
    if setting == "auto" and dtype[1:2] in ("i", "u", "f", "b") and len(shape) == 4:
        return Layout.IMAGE
    by_type = array_layout(dtype, len(shape))
    return None if setting == "auto" and may_be_gray(dtype, shape) else by_type


def may_be_gray(dtype: str, shape: Sequence[int]) -> bool:
    """Whether the values decide if an array [N, H, W] holds gray images or sequences."""
    if len(shape) != 3 or dtype == "|u1" or dtype[1:2] not in ("i", "u", "f", "b"):
        return False
    short, long = sorted(shape[1:])
    return short >= MIN_IMAGE_SIDE and long <= MAX_IMAGE_ASPECT * short


def layout_in(path: str, setting: str = "auto", *, look: bool = False) -> Layout | None:
    """What the training inputs of a .npz file hold; None when they can't be read, which loading the data explains.

    look: read the values where they decide; else the answer is None there.
    """
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as file:
            name = _training_inputs(file.namelist())
            with file.open(name) as array:
                header = _HEADER.search(array.read(_MAX_HEADER_BYTES))
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    if not header:
        return None
    dtype, shape = header[1].decode("latin-1"), [int(length) for length in re.findall(rb"\d+", header[2])]
    if look and setting == "auto" and may_be_gray(dtype, shape):
        return _layout_of_values(path, name)
    return layout_by_header(dtype, shape, setting)


def _training_inputs(names: Iterable[str]) -> str:
    """The member of a .npz file with the training inputs. Raises KeyError when there is none."""
    for name in names:
        if array_role(name.removesuffix(".npy")) == ("x", "train"):
            return name
    raise KeyError("x_train")


def _layout_of_values(path: str, name: str) -> Layout | None:
    import numpy as np

    from ptrun.data.formats.array_images import looks_like_images

    try:
        with np.load(Path(path).expanduser(), allow_pickle=False) as file:
            return Layout.IMAGE if looks_like_images(file[name.removesuffix(".npy")]) else Layout.SEQUENCE
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
