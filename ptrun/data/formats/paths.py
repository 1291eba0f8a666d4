"""Finds the files and folders that a dataset setting names.

Invariant: what is returned exists; what does not is a DataError with the absolute path that was looked for.
"""

from __future__ import annotations

from pathlib import Path

from ptrun.errors import DataError, did_you_mean


def existing_file(path: str, setting: str) -> Path:
    """Return the absolute path of a file; `~` is the home folder, else it starts at the working folder.

    Raises DataError with the nearest name in the same folder when there is no such file.
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


def _hint(full: Path) -> str:
    parent = full.parent
    if parent.is_dir():
        return did_you_mean(full.name, (entry.name for entry in parent.iterdir()))
    existing = next(folder for folder in parent.parents if folder.is_dir())
    return f" The folder {parent} does not exist either (the last one that does is {existing})."
