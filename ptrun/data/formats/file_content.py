"""Finds files with equal content without reading all of them: only files of one size can be equal."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ptrun.data.duplicates import Keys, keys_of_bytes

MAX_THREADS = 16  # they wait for the disk
END_BYTES = 4096  # compared before whole files are; the end of a compressed image differs most


def content_keys(paths: Sequence[str], sizes: Sequence[int]) -> Keys:
    """The key of each file, equal for equal content [N]. A file that can't be read, or is empty, equals itself only."""
    keys: list[tuple[object, ...]] = [(size or os.path.realpath(p),) for p, size in zip(paths, sizes, strict=True)]
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for more in (_end, _digest):
            counts = Counter(keys)
            alike = [i for i, key in enumerate(keys) if counts[key] > 1]
            for i, content in zip(alike, pool.map(partial(_read, more), [paths[i] for i in alike]), strict=True):
                keys[i] = (*keys[i], content)
    return keys_of_bytes(repr(key).encode() for key in keys)


def _read(function: Callable[[str], bytes], path: str) -> object:
    try:
        return function(path)
    except OSError:  # the check of the files says why
        return os.path.realpath(path)


def _end(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - END_BYTES))
        return hashlib.blake2b(file.read(), digest_size=16).digest()


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
