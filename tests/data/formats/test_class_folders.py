"""Which folders are parts and which are classes follows from what lies in them; what is unclear is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.data.formats.class_folders import LabelledFiles, images_by_part
from ptrun.errors import DataError


def tree(root: Path, *folders: str, count: int = 2) -> Path:
    """Files named like images, in folders."""
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number in range(count):
            (root / folder / f"{number}.png").touch()
    return root


def classes(parts: dict[str, LabelledFiles]) -> dict[str, list[str]]:
    return {part: sorted(set(files.labels)) for part, files in parts.items()}


def test_parts_in_any_spelling_and_wrapped_once_more(tmp_path: Path):
    tree(
        tmp_path, "photos/seg_train/seg_train/oak", "photos/seg_train/seg_train/elm", "photos/Dev/oak", "photos/Dev/elm"
    )
    parts, notes = images_by_part(tmp_path, ())
    assert classes(parts) == {"train": ["elm", "oak"], "val": ["elm", "oak"]}
    assert notes == [f"The images are in {tmp_path / 'photos'}, the one folder below {tmp_path}."]


def test_a_folder_that_is_no_part_is_named(tmp_path: Path):
    tree(tmp_path, "train/a", "train/b", "val/a", "val/b", "demo")
    parts, notes = images_by_part(tmp_path, ())
    assert classes(parts) == {"train": ["a", "b"], "val": ["a", "b"]}
    assert notes == [f"Not used: 'demo' in {tmp_path}, because no part (train, val, test) is called so."]


def test_classes_may_be_called_like_parts(tmp_path: Path):
    tree(tmp_path, "Testing", "Training", "Waiting")
    assert classes(images_by_part(tmp_path, ())[0]) == {"train": ["Testing", "Training", "Waiting"]}
    tree(tmp_path / "more", "train/ice", "train/night", "plane/jet", "plane/propeller")
    assert classes(images_by_part(tmp_path / "more", ())[0]) == {"train": ["plane", "train"]}


def test_classes_of_a_trained_model_stay_classes(tmp_path: Path):
    tree(tmp_path, "Train/x", "Train/y", "Valid/x", "Valid/y")
    assert classes(images_by_part(tmp_path, ())[0]) == {"train": ["x", "y"], "val": ["x", "y"]}
    assert classes(images_by_part(tmp_path, ("Train", "Valid"))[0]) == {"train": ["Train", "Valid"]}


def test_two_folders_of_one_part_are_refused(tmp_path: Path):
    tree(tmp_path, "train/a", "train/b", "val/a", "val/b", "Validation/a", "Validation/b")
    with pytest.raises(DataError, match="several folders of the val part: 'Validation', 'val'"):
        images_by_part(tmp_path, ())


def test_a_second_copy_of_the_classes_is_passed_over_and_named(tmp_path: Path):
    tree(tmp_path, "sick", "well", "cells/cells/sick", "cells/cells/well")
    files = images_by_part(tmp_path, ())[0]["train"]
    assert (sorted(set(files.labels)), len(files.paths)) == (["sick", "well"], 4)
    assert "Not used: the folder 'cells', no class." in files.notes[0]
    assert classes(images_by_part(tmp_path, ("cells", "sick", "well"))[0]) == {"train": ["cells", "sick", "well"]}


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("a/train", "a/val", "b/train", "b/val"), r"'a', 'b' all hold folders of parts \(train, val\).*train/a"),
        (("fold1/a", "fold1/b", "fold2/a", "fold2/b"), r"'fold1', 'fold2' all hold the same folders \(a, b\)"),
        (("Test/a", "Test/b", "Valid/a", "Valid/b"), r"call them train, val and test \(train is needed\)"),
        (("train", "test"), r"train has no class folders\. Not used: 2 images directly in"),
    ],
)
def test_a_structure_that_leaves_open_what_the_classes_are(tmp_path: Path, folders: tuple[str, ...], words: str):
    tree(tmp_path, *folders)
    with pytest.raises(DataError, match=words):
        images_by_part(tmp_path, ())


def test_equal_folders_with_numbers_are_groups_within_the_classes(tmp_path: Path):
    tree(tmp_path, "sun/2023", "sun/2024", "rain/2023", "rain/2024")
    files = images_by_part(tmp_path, ())[0]["train"]
    assert (sorted(set(files.labels)), len(files.paths)) == (["rain", "sun"], 8)
    assert "all hold the same folders (2023, 2024)" in files.notes[0]


def test_images_beside_the_classes_and_empty_classes_are_named(tmp_path: Path):
    tree(tmp_path, "a", "b")
    (tmp_path / "cover.jpg").touch()
    assert images_by_part(tmp_path, ())[0]["train"].notes[0].startswith("Not used: 1 images directly in")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "x.heic").touch()
    with pytest.raises(DataError, match=r"the class folder 'c' has no image, but 1 \.heic"):
        images_by_part(tmp_path, ())


def test_a_test_folder_without_classes_is_left_to_prediction(tmp_path: Path):
    tree(tmp_path, "train/a", "train/b", "test")
    parts, notes = images_by_part(tmp_path, ())
    assert classes(parts) == {"train": ["a", "b"]}
    assert f"ptrun predict input={tmp_path / 'test'}" in notes[0]
