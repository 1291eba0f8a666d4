"""Reads the file formats of MNIST (idx) and CIFAR (pickled batches).

A file can't run code: the unpickler makes arrays and plain containers, and refuses everything else.
"""

from __future__ import annotations

import codecs
import gzip
import io
import math
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import DataError


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the bytes of an idx file, gzipped or not, in the shape that its header gives.

    Format: two zero bytes, type 8 (unsigned byte), number of dimensions, each size as 4 bytes, big-endian first
    (http://yann.lecun.com/exdb/mnist/). Raises DataError for a damaged file.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}. Remove it, so that it can be fetched again.") from error
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise DataError(f"{path} is not an idx file of bytes. Remove it, so that it can be fetched again.")
    header_bytes = 4 + 4 * content[3]
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header_bytes, 4)]
    if len(content) != header_bytes + math.prod(shape):
        raise DataError(
            f"{path} is damaged: its header promises {' x '.join(map(str, shape))} bytes, but "
            f"{len(content) - header_bytes} follow it. Fetch it again."
        )
    values = np.frombuffer(content, np.uint8, offset=header_bytes)
    return values.reshape(shape).copy()


def read_batch(path: Path) -> dict[str, Any]:
    """Return the dictionary of a CIFAR file: `data` uint8 [N, 3072], `labels` or `fine_labels`, or names.

    Format: https://www.cs.toronto.edu/~kriz/cifar.html. Raises DataError for another file.
    """
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise any exception
        raise DataError(f"{path} can't be read as a CIFAR file: {error}. Fetch it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a CIFAR file: it holds a {type(content).__name__}. Fetch it again.")
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in content.items()}


class _ArraysOnly(pickle.Unpickler):
    """Refuses every class and function but those that make NumPy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        rebuild = np.zeros(0).__reduce__()[0]
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): rebuild,
            ("numpy._core.multiarray", "_reconstruct"): rebuild,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): codecs.encode,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not needed for arrays")
        return allowed[module, name]
