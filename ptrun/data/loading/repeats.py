"""Finds image files that are the same in several parts, which makes a test look better than it is."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ptrun.data.splits import FileSplit

MAX_READ_BYTES = 2e8  # of files with a size that another one has; beyond it, only equal paths are found


class _File(NamedTuple):
    path: str
    size: int
    part: str
    target: int


def notes_on_repeats(splits: Mapping[str, FileSplit]) -> list[str]:
    """Sentences on files with equal content: how many, in how many parts, and with which labels."""
    groups = [files for files in _by_content(splits).values() if len(files) > 1]
    if not groups:
        return []
    across = [files for files in groups if len({file.part for file in files}) > 1]
    differing = [files for files in groups if len({file.target for file in files}) > 1]
    notes = [f"{len(groups):,} images occur more than once, for example {_example(groups[0])}."]
    if across:
        notes.append(
            f"{len(across):,} identical images stand in more than one of train, val and test, so results may look "
            f"better than they are: {_example(across[0])}. Keep one of each."
        )
    if differing:
        notes.append(f"{len(differing):,} identical images have different labels: {_example(differing[0])}.")
    return notes


def _by_content(splits: Mapping[str, FileSplit]) -> dict[object, list[_File]]:
    """The files by content, as far as others could be equal to them; by path where that would be much to read."""
    files = list(_files(splits))
    counts = Counter(file.size for file in files)
    alike = [file for file in files if counts[file.size] > 1 and file.size > 0]
    reads = sum(file.size for file in alike) <= MAX_READ_BYTES
    groups: dict[object, list[_File]] = defaultdict(list)
    for file in alike:
        groups[_digest(file.path) if reads else os.path.abspath(file.path)].append(file)
    return groups


def _files(splits: Mapping[str, FileSplit]) -> Iterator[_File]:
    for part, split in splits.items():
        for path, size, target in zip(split.paths, split.sizes, split.targets.tolist(), strict=True):
            yield _File(path, size, part, target)


def _digest(path: str) -> bytes | str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha1").digest()
    except OSError:  # the check of the files says why
        return path


def _example(files: list[_File]) -> str:
    return " and ".join(f"{file.path} ({file.part})" for file in files[:2])
