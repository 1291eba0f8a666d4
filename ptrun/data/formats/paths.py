"""Finds the files and folders that a dataset setting names."""

from __future__ import annotations

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


def _hint(full: Path) -> str:
    """A similar name in the same folder, or the part of the path that exists."""
    parent = full.parent
    if parent.is_dir():
        return did_you_mean(full.name, (entry.name for entry in parent.iterdir()))
    existing = next(folder for folder in parent.parents if folder.is_dir())
    return f" The folder {parent} does not exist either (the last one that does is {existing})."
