"""Reads an image folder by its structure: which folders are parts (train, val, test), which are classes, which neither.

Names decide in any spelling and case, but only together with what lies in the folders: two classes may be called
test and control.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ptrun.data.formats.image_file import SUFFIXES
from ptrun.data.formats.image_tree import (
    PassedOver,
    has_own_images,
    images_below,
    is_image_name,
    is_passed_over,
    kinds_of,
    visible_folders,
)
from ptrun.data.formats.part_names import part_called
from ptrun.errors import DataError, join_words


@dataclass
class LabelledFiles:
    """Image files with a label each, their rows in a list if there is one, and what was passed over."""

    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    passed_over: PassedOver = field(default_factory=PassedOver)
    notes: list[str] = field(default_factory=list)


def images_by_part(root: Path, known: Sequence[str]) -> tuple[dict[str, LabelledFiles], list[str]]:
    """The images of each part, or all of them as `train`, and notes on what is out of the ordinary.

    known: names of the classes of a trained model, which are classes wherever they are found.
    Raises DataError where the structure leaves open what the classes are.
    """
    folder = _unwrapped(root, known)
    notes = [] if folder == root else [f"The images are in {folder}, the one folder below {root}."]
    parts, odd = _parts(folder, known)
    if odd:
        names = join_words(map(repr, odd), 8)
        notes.append(f"Not used: {names} in {folder}, because no part (train, val, test) is called so.")
    for part in [part for part in parts if part != "train" and _is_unlabelled(parts[part])]:
        path = parts.pop(part)
        notes.append(
            f"Not used: {path}, whose images have no labels, since they lie in no class folders. The {part} part is "
            f"cut from train. ptrun predict input={path} predicts them."
        )
    if parts:
        return {part: _images_by_class(_unwrapped(path, known, part), known) for part, path in parts.items()}, notes
    return {"train": _images_by_class(folder, known)}, notes


def pooled(images: Mapping[str, LabelledFiles]) -> LabelledFiles:
    """The images of all parts, for a split that is not by the folders."""
    pool, passed_over = LabelledFiles(), PassedOver()
    for files in images.values():
        pool.paths += files.paths
        pool.labels += files.labels
        pool.notes += files.notes
        passed_over.add(files.passed_over)
    if len(images) > 1:
        pool.notes.append(f"The images of the folders {join_words(images)} are pooled and divided as `split` says.")
    return replace(pool, passed_over=passed_over)


def _unwrapped(folder: Path, known: Sequence[str], part: str | None = None) -> Path:
    """The folder, or the one within it when that is all it holds, as in unpacked archives: photos/photos/cat.

    A folder called like a part is such a wrapper only within that part: train/train/cat.
    """
    for _ in range(8):  # deep enough for archives; ends at a link to itself
        folders = visible_folders(folder)
        if len(folders) != 1 or has_own_images(folder):
            return folder
        (only,) = folders
        called, inner = part_called(only.name), [path.name for path in visible_folders(only)]
        is_class = only.name in known or has_own_images(only) or all(map(_has_digit, inner))
        if is_class or (called is not None and called != part):
            return folder
        folder = only
    return folder


def _parts(folder: Path, known: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """The folder of each part, if there are parts, and the names of the other folders beside them."""
    folders = visible_folders(folder)
    if {path.name for path in folders} <= set(known):
        return {}, []
    by_part: dict[str, list[Path]] = {}
    odd = []
    for path in folders:
        part = part_called(path.name)
        if part:
            by_part.setdefault(part, []).append(path)
        else:
            odd.append(path)
    if "train" not in by_part or (odd and not _are_parts_beside_others(by_part, odd)):
        return {}, []
    for part, paths in by_part.items():
        if len(paths) > 1:
            raise DataError(
                f"{folder} has several folders of the {part} part: {join_words([repr(p.name) for p in paths], 8)}. "
                "Keep one of them, or move the others elsewhere."
            )
    return {part: paths[0] for part, paths in by_part.items()}, [path.name for path in odd]


def _are_parts_beside_others(by_part: Mapping[str, Sequence[Path]], odd: Sequence[Path]) -> bool:
    """Whether folders called like parts are parts, though other folders lie beside them, which classes might be."""
    if not all(_holds_classes(path) for path in by_part["train"]):
        return False
    others = [path for part, paths in by_part.items() if part != "train" for path in paths]
    return any(map(_holds_classes, others)) or not any(map(_holds_classes, odd))


def _holds_classes(folder: Path) -> bool:
    """Whether a folder has several folders in it and no images beside them."""
    return not has_own_images(folder) and len(visible_folders(folder)) >= 2


def _is_unlabelled(folder: Path) -> bool:
    """Whether a folder holds images and no folders."""
    return has_own_images(folder) and not visible_folders(folder)


def _images_by_class(folder: Path, known: Sequence[str]) -> LabelledFiles:
    """The images in the class folders of a folder. Raises DataError for a folder without classes, or an empty one."""
    files = LabelledFiles()
    classes, files.notes = _class_folders(folder, known)
    _pass_over_beside(folder, files)
    empty = []
    for path in classes:
        paths, passed_over = images_below(path)
        files.paths += paths
        files.labels += [path.name] * len(paths)
        files.passed_over.add(passed_over)
        if not paths:
            holds = f", but {passed_over.kinds_text()}" if passed_over.kinds else ""
            empty.append(f"'{path.name}' has no image{holds}")
    if empty:
        raise DataError(
            f"{folder}: the class folder {join_words(empty, 8)}. Images are {', '.join(sorted(SUFFIXES))}. "
            "Fill or remove it."
        )
    if not files.paths:
        stray = "".join(f" {note}" for note in files.notes)
        raise DataError(
            f"{folder} has no class folders.{stray} Give each class a folder with its images, such as "
            f"{folder}/cat/1.jpg."
        )
    return files


def _pass_over_beside(folder: Path, files: LabelledFiles) -> None:
    """Count what lies beside the class folders."""
    entries = sorted(folder.iterdir())
    files.passed_over.hidden += sum(is_passed_over(entry.name) for entry in entries)
    names = [entry.name for entry in entries if not is_passed_over(entry.name) and not entry.is_dir()]
    files.passed_over.kinds.update(kinds_of(names))
    stray = [name for name in names if is_image_name(name)]
    if stray:
        files.notes.append(f"Not used: {len(stray):,} images directly in {folder}, which belong to no class folder.")


def _class_folders(folder: Path, known: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The class folders of a folder and notes on them, without those that hold copies of the others."""
    folders = visible_folders(folder)
    names = {path.name for path in folders}
    if names <= set(known):
        return folders, []
    inner = {path: _names_inside(path, known) for path in folders}
    notes, copies = [], []
    for path in folders:
        shared = sorted(inner[path] & (names - {path.name}))
        if len(shared) >= 2 and path.name not in known:
            copies.append(path)
            notes.append(
                f"Not used: the folder '{path.name}', no class. It holds folders called like the classes beside it "
                f"({join_words(shared, 8)}), such as a second copy of them. Images that are only there: move them."
            )
    classes = [path for path in folders if path not in copies]
    return classes, [*notes, *_check_inside(folder, classes, inner)]


def _names_inside(folder: Path, known: Sequence[str]) -> set[str]:
    """The names of the folders in a folder that has no images beside them; empty for others."""
    if has_own_images(folder):
        return set()
    return {path.name for path in visible_folders(_unwrapped(folder, known))}


def _check_inside(folder: Path, classes: Sequence[Path], inner: Mapping[Path, set[str]]) -> list[str]:
    """Notes on folders that all classes hold. Raises DataError when these look like parts, or like the classes."""
    shared = set.intersection(*(inner[path] for path in classes)) if len(classes) >= 2 else set()
    outer, held = join_words([f"'{path.name}'" for path in classes], 8), join_words(sorted(shared), 8)
    if any(part_called(name) == "train" for name in shared):
        raise DataError(
            f"{folder}: the folders {outer} all hold folders of parts ({held}). Turn them round, so that the parts "
            f"hold the classes: {folder}/{min(shared)}/{classes[0].name}."
        )
    if len(shared) < 2:
        return []
    if all(map(_has_digit, shared)):
        return [f"The class folders all hold the same folders ({held}), whose images count as those of the class."]
    likely = _likely_cause(Counter(part_called(path.name) for path in classes))
    raise DataError(
        f"{folder}: the folders {outer} all hold the same folders ({held}), so it is open which of them are the "
        f"classes. {likely} If {outer} are the classes, put their images straight into them."
    )


def _likely_cause(parts: Counter[str | None]) -> str:
    if parts.keys() - {None}:
        return "They seem to be parts of the data: call them train, val and test (train is needed)."
    return "If they are parts of the data, call them train, val and test, or put equal folders into one."


def _has_digit(name: str) -> bool:
    return any(map(str.isdigit, name))
