"""Reads the arrays of a .npz file, and knows from their names what each is for.

Pickled objects in the file are refused, because they could run code.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.formats.npz_header import array_role
from ptrun.errors import DataError, join_words

PARTS = ("train", "val", "test")
_BLOCK_BYTES = 2**20
_UNPACKED_BYTES = 2**26  # a larger compressed array is unpacked into a file, not into memory
_LENGTHS_AT = 26  # where the header of a file in a zip archive has the lengths of its name and its extra field
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_HOW_TO_WRITE = "Write it with numpy.savez(path, x_train=..., y_train=...), from arrays of numbers or texts."


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a .npz file. Raises DataError for another file and for one that holds Python objects."""
    with _npz_errors(path), np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def array_names(path: Path) -> list[str]:
    """The names of the arrays of a .npz file. Raises DataError for another file."""
    with _npz_errors(path), np.load(path, allow_pickle=False) as file:
        return list(file.files)


def open_array(path: Path, name: str) -> NDArray[Any]:
    """One array of a .npz file, whose parts are read when they are used, unless it is small and compressed.

    Raises DataError for an array that is damaged or holds Python objects.
    """
    with _npz_errors(path):
        mapped = _mapped(path, f"{name}.npy")
        if mapped is not None:
            return mapped
        with np.load(path, allow_pickle=False) as file:
            array: NDArray[Any] = file[name]
            return array


def _mapped(path: Path, member: str) -> NDArray[Any] | None:
    """An array in its place in a file; None when it is small and compressed, empty, or not of numbers."""
    with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as stack:
        info = next((info for info in archive.infolist() if info.filename == member), None)
        if info is None or (info.compress_type != zipfile.ZIP_STORED and info.file_size <= _UNPACKED_BYTES):
            return None
        with archive.open(info) as content:  # to its end, where its checksum is compared
            if info.compress_type == zipfile.ZIP_STORED:
                while content.read(_BLOCK_BYTES):
                    pass
                file: IO[bytes] = stack.enter_context(path.open("rb"))
                _seek_content(file, info)
            else:
                file = stack.enter_context(tempfile.TemporaryFile())  # gone when the array is
                shutil.copyfileobj(content, file, _BLOCK_BYTES)
                file.seek(0)
        version = np.lib.format.read_magic(file)
        if version not in _READ_HEADER:
            return None
        shape, is_fortran, dtype = _READ_HEADER[version](file)
        if dtype.kind not in "biuf" or 0 in shape or not shape:
            return None
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if is_fortran else "C")


def _seek_content(file: IO[bytes], info: zipfile.ZipInfo) -> None:
    """Go to the first byte of a member that is not compressed."""
    file.seek(info.header_offset + _LENGTHS_AT)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    file.seek(name_length + extra_length, os.SEEK_CUR)


@contextlib.contextmanager
def _npz_errors(path: Path) -> Iterator[None]:
    """Raises DataError for what reading a .npz file raises."""
    try:
        yield
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} can't be read as a .npz file of plain arrays: {_reason(path, error)}. {_HOW_TO_WRITE}"
        ) from error


def _reason(path: Path, error: Exception) -> str:
    """Why the file can't be read: numpy's message, except when that advises to load pickled objects."""
    if isinstance(error, OSError) and error.errno:
        return error.strerror or str(error)
    with path.open("rb") as file:
        is_pickle = file.read(1) == b"\x80"
    is_zip = zipfile.is_zipfile(path)
    if "allow_pickle" in str(error) and (is_zip or is_pickle):
        return "it holds Python objects, which are refused because they can run code"
    return str(error).rstrip(".") if is_zip else "it is another kind of file"


def arrays_by_role(
    path: Path, content: Mapping[str, NDArray[Any]], columns: Sequence[str] = ()
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The name of the array for each role ("x" or "y", part), and a note on arrays that are not used.

    columns: arrays that are used for something else. Raises DataError when two arrays have one role, or one is missing.
    """
    by_role: dict[tuple[str, str], str] = {}
    unused = []
    for name in content:
        if name in columns:
            continue
        role = array_role(name)
        if role is None:
            unused.append(name)
        elif role in by_role:
            raise DataError(f"{path} has {by_role[role]} and {name}, which mean the same. Keep one of them.")
        else:
            by_role[role] = name
    parts = {"train", *(part for _, part in by_role)}
    missing = [f"{kind}_{part}" for part in PARTS for kind in "xy" if part in parts and (kind, part) not in by_role]
    if missing:
        raise DataError(
            f"{path} has the arrays {join_words(content) or '(none)'}, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing. It needs x_train and y_train, and may have x_val, y_val, "
            "x_test and y_test."
        )
    return by_role, [f"Not used: the arrays {join_words(unused)} of {path}."] if unused else []
