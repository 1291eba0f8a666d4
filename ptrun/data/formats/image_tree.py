"""Finds the image files below a folder, and counts what is passed over, so that nothing is left out in silence."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptrun.data.formats.image_file import SUFFIXES
from ptrun.errors import join_words

SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "lost+found", "__pycache__"})
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
# Kinds of images that are not read, and what to do about them.
_CONVERTIBLE = frozenset({".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".psd", ".dng", ".cr2", ".nef", ".arw"})
_KINDS_SHOWN = 8


@dataclass
class PassedOver:
    """What was found among images and not taken: hidden or system entries, other files by suffix, links to itself."""

    hidden: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    loops: list[str] = field(default_factory=list)

    def add(self, other: PassedOver) -> None:
        """Count what another folder has, too."""
        self.hidden += other.hidden
        self.kinds.update(other.kinds)
        self.loops += other.loops

    def kinds_text(self) -> str:
        """The kinds of other files with their numbers, such as `3 .txt, 1 without suffix`."""
        return join_words([f"{count:,} {kind or 'without suffix'}" for kind, count in self.kinds.most_common()], 8)

    def notes(self) -> list[str]:
        """Sentences on it; none when nothing was passed over."""
        notes = [f"Hidden files or folders, ignored: {self.hidden:,}."] if self.hidden else []
        if self.kinds:
            notes.append(f"Files that are not named like images, ignored: {self.kinds_text()}.")
        convertible = sorted(set(self.kinds) & _CONVERTIBLE)
        if convertible:
            notes.append(f"Images of the kind {join_words(convertible)} are not read. Convert them to JPEG or PNG.")
        if self.loops:
            notes.append(f"Links to folders that are read anyway, passed over: {join_words(self.loops, 3)}.")
        return notes


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or put there by a system or an archiver."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS | SYSTEM_FILES


def is_image_name(name: str) -> bool:
    """Whether the suffix of a name is that of an image format that is read."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder that are neither hidden nor a system's, also by links, in the order of their names."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_passed_over(entry.name))


def has_own_images(folder: Path) -> bool:
    """Whether images lie directly in a folder."""
    with os.scandir(folder) as entries:
        return any(is_image_name(entry.name) and not is_passed_over(entry.name) for entry in entries)


def images_below(folder: Path) -> tuple[list[str], PassedOver]:
    """The images in a folder and in all folders below it, in the order of their sorted names, and what is passed over.

    Links to folders are followed, but no folder is read twice, and none that holds this folder.
    """
    paths: list[str] = []
    passed_over = PassedOver()
    seen = {_identity(parent) for parent in (*folder.absolute().parents, *folder.resolve().parents)}
    for parent, folders, names in os.walk(folder, followlinks=True):
        identity = _identity(parent)
        if identity in seen and identity[1]:  # some file systems have no numbers of files
            passed_over.loops.append(parent)
            folders.clear()
            continue
        seen.add(identity)
        passed_over.hidden += sum(map(is_passed_over, [*folders, *names]))
        folders[:] = sorted(name for name in folders if not is_passed_over(name))
        visible = sorted(name for name in names if not is_passed_over(name))
        paths += [os.path.join(parent, name) for name in visible if is_image_name(name)]
        passed_over.kinds.update(kinds_of(visible))
    return paths, passed_over


def _identity(folder: str | Path) -> tuple[int, int]:
    """What is equal for two paths of one folder."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def kinds_of(names: Sequence[str]) -> list[str]:
    """The suffix of each file that is not named like an image."""
    return [os.path.splitext(name)[1].lower() for name in names if not is_image_name(name)]
