"""Finds all image files that can't be read before training begins, so that they are named at once.

Every file is decoded as training would decode it, unless there are so many that this would take as long as an epoch:
then only the first and last bytes are checked, which finds files that are empty, cut off or no images. Good files are
remembered by path, size and time in the cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ptrun.data.formats.image_file import ImageReader
from ptrun.data.formats.image_marks import looks_whole
from ptrun.data.loading.streaming import CHUNK_SAMPLES, one_thread
from ptrun.data.loading.worker_pool import WorkerPool
from ptrun.data.splits import FileSplit, Split
from ptrun.errors import DataError
from ptrun.files.atomic import replacing

FORMAT = 1  # of the memory; raise it when what is checked changes
# More than these are not decoded. A photo of 54 kB took 1.6 ms (20,000: half a minute on one core), its ends 0.02 ms.
MAX_DECODED_FILES = 20_000
MAX_DECODED_BYTES = 2e9
# Fewer are checked in less than a second or two, without a bar and a memory.
FEW_FILES = 500
FEW_BYTES = 5e7
MAX_NAMED = 20  # files that a message names

ProgressCallback = Callable[[str, int, int], None]  # message, files done, files in all


class _File(NamedTuple):
    """One file to check: where it is, its size in bytes, and a number that stands for its path, size and time."""

    part: str
    position: int
    size: int
    id: int


@dataclass(frozen=True)
class FileCheck:
    """bad: part → index of a file → why it can't be read. note: what was checked, as a sentence."""

    bad: Mapping[str, Mapping[int, str]]
    note: str


def image_splits(splits: Mapping[str, Split]) -> dict[str, FileSplit]:
    """The parts that are image files read by ptrun itself."""
    return {
        part: split
        for part, split in splits.items()
        if isinstance(split, FileSplit) and isinstance(split.reader, ImageReader) and len(split)
    }


def check_files(
    splits: Mapping[str, FileSplit], memory: Path, num_workers: int, on_progress: ProgressCallback
) -> FileCheck:
    """Check the files of all parts. memory: the folder where good files are remembered."""
    files = list(_files(splits))
    store = memory / f"{_key(splits)}-decoded.npy"
    new = _not_in(store, files)
    decode = len(new) <= MAX_DECODED_FILES and _num_bytes(new) <= MAX_DECODED_BYTES
    if not decode:
        store = memory / f"{_key(splits)}-ends.npy"
        new = _not_in(store, new)
    is_much = len(new) > FEW_FILES or _num_bytes(new) > FEW_BYTES
    bad: dict[str, dict[int, str]] = {}
    message = (
        f"checking {len(new):,} image files"
        if decode
        else f"checking the first and last bytes of {len(new):,} image files"
    )
    report = on_progress if is_much else _silent
    report(message, 0, len(new))
    for done, (file, reason) in enumerate(_checked(splits, new, num_workers if is_much else 0, decode), start=1):
        if reason:
            bad.setdefault(file.part, {})[file.position] = reason
        report(message, done, len(new))
    if is_much:
        _save(store, [file.id for file in files if file.position not in bad.get(file.part, {})])
    return FileCheck(bad, _note(len(files), len(new), decode))


def _files(splits: Mapping[str, FileSplit]) -> Iterator[_File]:
    for part, split in splits.items():
        settings = f"{FORMAT} {split.reader!r}"
        for index, path in enumerate(split.paths):
            size, time = -1, 0
            with contextlib.suppress(OSError):  # the check itself says why
                status = os.stat(path)
                size, time = status.st_size, status.st_mtime_ns
            digest = hashlib.blake2b(os.fsencode(f"{os.path.abspath(path)}\0{size}\0{time}\0{settings}"), digest_size=8)
            yield _File(part, index, max(size, 0), int.from_bytes(digest.digest(), "little"))


def _checked(
    splits: Mapping[str, FileSplit], files: Sequence[_File], num_workers: int, decode: bool
) -> Iterator[tuple[_File, str]]:
    """Each file and why it can't be read; "" for a good one."""
    chunks = [files[begin : begin + CHUNK_SAMPLES] for begin in range(0, len(files), CHUNK_SAMPLES)]
    workers = WorkerPool(_Checker(splits, decode), min(num_workers, len(chunks)))
    try:
        reasons = workers.imap([(file.part, file.position) for file in chunk] for chunk in chunks)
        for chunk, chunk_reasons in zip(chunks, reasons, strict=True):
            yield from zip(chunk, chunk_reasons, strict=True)
    finally:
        workers.close()


@dataclass(frozen=True)
class _Checker:
    """Runs in a worker: parts and indices in, reasons out. decode: all files, or only those that do not look whole."""

    splits: Mapping[str, FileSplit]
    decode: bool

    def __call__(self, places: Sequence[tuple[str, int]]) -> list[str]:
        with one_thread():
            return [self._reason(self.splits[part], index) for part, index in places]

    def _reason(self, split: FileSplit, index: int) -> str:
        if not self.decode and looks_whole(split.paths[index]):
            return ""
        try:
            split.read(index)
        except DataError as error:
            return str(error)
        return ""


def without(split: FileSplit, bad: Mapping[int, str]) -> FileSplit:
    """The split without some of its files."""
    kept = [index for index in range(len(split)) if index not in bad]
    return replace(
        split,
        paths=[split.paths[i] for i in kept],
        targets=split.targets[kept],
        sizes=[split.sizes[i] for i in kept] if split.sizes else (),
        rows=[split.rows[i] for i in kept] if split.rows else (),
    )


def bad_files_text(check: FileCheck, total: int) -> str:
    """How many files can't be read, with the names and reasons of the first, a line each."""
    reasons = [reason for found in check.bad.values() for _, reason in sorted(found.items())]
    parts = ", ".join(f"{part} {len(found):,}" for part, found in check.bad.items())
    lines = [f"{len(reasons):,} of {total:,} image files can't be read ({parts}):", *reasons[:MAX_NAMED]]
    if len(reasons) > MAX_NAMED:
        lines.append(f"and {len(reasons) - MAX_NAMED:,} more")
    return "\n  ".join(lines)


def _note(total: int, new: int, decode: bool) -> str:
    earlier = f" ({total - new:,} of them in an earlier run)" if new < total else ""
    if decode:
        return f"All {total:,} image files were read once before the start, to find damaged ones{earlier}."
    return (
        f"The first and last bytes of all {total:,} image files were checked before the start{earlier}. Decoding so "
        "many would take as long as an epoch, so damage inside a file is found only when the file is read."
    )


def _key(splits: Mapping[str, FileSplit]) -> str:
    """Names the memory of a data set, by its source."""
    source = os.path.abspath(next(iter(splits.values())).source)
    return hashlib.blake2b(os.fsencode(source), digest_size=12).hexdigest()


def _num_bytes(files: Sequence[_File]) -> int:
    return sum(file.size for file in files)


def _not_in(store: Path, files: Sequence[_File]) -> list[_File]:
    """The files that no earlier check found good."""
    try:
        known = np.load(store, allow_pickle=False).astype(np.uint64)
    except (OSError, ValueError, EOFError):  # no memory, or a damaged one
        return list(files)
    is_known = np.isin(np.array([file.id for file in files], np.uint64), known).tolist()
    return [file for file, remembered in zip(files, is_known, strict=True) if not remembered]


def _save(store: Path, ids: Sequence[int]) -> None:
    # Without the memory, as in a home that can't be written, the next run checks again.
    with contextlib.suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        with replacing(store) as file:
            np.save(file, np.array(ids, np.uint64))


def _silent(message: str, done: int, total: int) -> None:
    pass
