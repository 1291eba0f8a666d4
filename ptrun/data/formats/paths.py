"""Finds the files and folders that a dataset setting names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ptrun.errors import DataError, did_you_mean


def existing_file(path: str, setting: str) -> Path:
    """Return the absolute path of a file; `~` is the home folder, and a relative path starts at the working folder.

    When there is no such file, raises DataError with that absolute path and the nearest name in its folder.
    """
    full = Path(path).expanduser().absolute()
    if full.is_dir():
        raise DataError(f"{setting}: {full} is a folder; a file is needed here.")
    if not full.is_file():
        raise DataError(f"{setting}: there is no file {full}.{_hint(full)}")
    return full


def existing_folder(path: str, setting: str) -> Path:
    """Return the absolute path of a folder. Raises DataError like `existing_file`."""
    full = Path(path).expanduser().absolute()
    if full.is_file():
        raise DataError(f"{setting}: {full} is a file; a folder is needed here.")
    if not full.is_dir():
        raise DataError(f"{setting}: there is no folder {full}.{_hint(full)}")
    return full


def listed_paths(
    names: Sequence[str], start: Path, source: str, rows: Sequence[int] = ()
) -> tuple[list[str], list[str]]:
    """The paths that a list of files names, and notes on them; a relative one starts at `start`.

    Backslashes, as Windows writes them, are read as slashes where there is no file of the name as written.
    source, rows: where the names stand, for messages. Raises DataError for a URL.
    """
    paths: list[str] = []
    turned = 0
    for position, name in enumerate(names):
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
            place = f", row {rows[position]}" if len(rows) else ""
            raise DataError(f"{source}{place}: {name} is a URL. Download the files, and name those on this machine.")
        path = start / Path(name).expanduser()
        if "\\" in name and not path.is_file():
            path = start / Path(name.replace("\\", "/")).expanduser()
            turned += 1
        paths.append(str(path))
    return paths, [f"Paths with backslashes, which are read as slashes: {turned:,}."] if turned else []


def file_sizes(paths: Sequence[str], rows: Sequence[int], source: str) -> list[int]:
    """Size of each file in bytes. Raises DataError that names those that do not exist.

    rows: where the files stand in the list `source`; empty when they are in none.
    """
    sizes: list[int] = []
    absent = []
    for i, path in enumerate(paths):
        try:
            sizes.append(os.stat(path).st_size)
        except OSError as error:
            location = f" ({source}, row {rows[i]})" if rows else ""
            absent.append(f"{path} can't be found{location}: {error.strerror}.")
    if absent:
        count = "" if len(absent) == 1 else f"{len(absent):,} of {len(paths):,} files can't be found: "
        raise DataError(f"{count}{' '.join(absent[:8])}{f' And {len(absent) - 8:,} more.' if absent[8:] else ''}")
    return sizes


def _hint(full: Path) -> str:
    """A similar name in the same folder, or the part of the path that exists."""
    parent = full.parent
    if parent.is_dir():
        return did_you_mean(full.name, (entry.name for entry in parent.iterdir()))
    existing = next(folder for folder in parent.parents if folder.is_dir())
    return f" The folder {parent} does not exist either (the last one that does is {existing})."
