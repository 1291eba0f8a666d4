"""Image files by class folders and by lists: which files, which classes, which part, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptrun.data.dataset import Data
from ptrun.data.datasets.image_files import image_folder, image_list, image_list_from
from ptrun.data.split_settings import SplitSettings
from ptrun.data.splits import FileSplit
from ptrun.errors import DataError

RED_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]] * 3, np.uint8)  # 3 rows of a red and a blue pixel


def save(path: Path, pixels: object = RED_BLUE, **options: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)  # type: ignore[arg-type]
    return str(path)


def tree(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 10) -> Path:
    for number, name in enumerate(classes):
        for i in range(count):
            save(root / name / f"{i}.png", np.full((4, 5, 3), 20 * number + i, np.uint8))
    return root


def paths(data: Data, part: str) -> list[str]:
    split = getattr(data, part)
    assert isinstance(split, FileSplit)
    return list(split.paths)


def test_class_folders_are_divided(tmp_path: Path) -> None:
    data = image_folder(root=str(tree(tmp_path)))
    all_paths = [path for part in ("train", "val", "test") for path in paths(data, part)]
    assert sorted(all_paths) == sorted(str(p) for p in tmp_path.rglob("*.png"))
    assert data.spec.class_names == ("cat", "dog")
    assert data.spec.input_shape == (3, 4, 5)
    assert data.record["class_counts"] == {name: {"train": 7, "val": 1, "test": 2} for name in ("cat", "dog")}
    for i in range(len(data.test)):
        assert Path(data.test.name(i)).parent.name == data.spec.class_names[int(data.test.targets[i])]
        assert int(data.test.read(i)[0, 0, 0]) == 20 * int(data.test.targets[i]) + int(Path(data.test.name(i)).stem)
    assert image_folder(root=str(tmp_path)).train.fingerprint() == data.train.fingerprint()


def test_gray_channels(tmp_path: Path) -> None:
    assert image_folder(root=str(tree(tmp_path)), channels=1).spec.input_shape == (1, 4, 5)


def test_nested_hidden_and_other_files(tmp_path: Path) -> None:
    tree(tmp_path)
    save(tmp_path / "cat" / "deep" / "er" / "x.JPG")
    (tmp_path / "cat" / ".DS_Store").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "dog" / "notes.txt").touch()
    (tmp_path / "README").touch()
    data = image_folder(root=str(tmp_path))
    assert sum(len(paths(data, part)) for part in ("train", "val", "test")) == 21
    assert data.notes == (
        "Hidden files or folders, ignored: 2.",
        "Files that are not named like images, ignored: 1 without suffix, 1 .txt.",
        "2 classes: cat (11), dog (10).",
    )


def test_folders_for_each_part(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        tree(tmp_path / part, count=count)
    data = image_folder(root=str(tmp_path))
    assert [len(paths(data, part)) for part in ("train", "val", "test")] == [12, 4, 6]
    assert data.record["method"] == "folders"
    assert all("/val/" in path for path in paths(data, "val"))


@pytest.mark.parametrize(("ready", "sizes"), [("test", [18, 2, 4]), ("valid", [16, 4, 4])])
def test_parts_without_a_folder_are_cut_from_train(tmp_path: Path, ready: str, sizes: list[int]) -> None:
    tree(tmp_path / "train", count=10)
    tree(tmp_path / ready, count=2)
    data = image_folder(root=str(tmp_path))
    assert [len(paths(data, part)) for part in ("train", "val", "test")] == sizes
    all_paths = [path for part in ("train", "val", "test") for path in paths(data, part)]
    assert len(set(all_paths)) == len(all_paths)


def test_classes_may_be_called_train(tmp_path: Path) -> None:
    assert image_folder(root=str(tree(tmp_path, ("plane", "train")))).spec.class_names == ("plane", "train")


def test_class_that_training_lacks(tmp_path: Path) -> None:
    tree(tmp_path / "train")
    tree(tmp_path / "val")
    tree(tmp_path / "test", ("cat", "dogs"))
    with pytest.raises(DataError, match=r"not in the training data: 'dogs' \(10\).*Did you mean 'dog'"):
        image_folder(root=str(tmp_path))


def test_fitted_class_names_are_reused(tmp_path: Path) -> None:
    data = image_folder(root=str(tree(tmp_path / "a", ("ant", "cat", "dog"))))
    again = image_folder(
        root=str(tree(tmp_path / "b", ("dog",), 2)),
        fitted=data.fitted,
        splitting=SplitSettings(test_fraction=1.0, evaluating=True),
    )
    assert again.spec.class_names == ("ant", "cat", "dog")
    assert again.test.targets.tolist() == [2, 2]


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.root: there is no folder"):
        image_folder(root=str(tmp_path / "absent"))
    with pytest.raises(DataError, match="has no class folders"):
        image_folder(root=str(tmp_path))
    tree(tmp_path, ("cat",))
    with pytest.raises(DataError, match="only the class 'cat'"):
        image_folder(root=str(tmp_path))
    (tmp_path / "dog").mkdir()
    with pytest.raises(DataError, match="class folder 'dog' has no image"):
        image_folder(root=str(tmp_path))
    for number in range(2):
        save(tmp_path / "dog" / f"{number}.png", np.full((4, 5, 3), 200 + number, np.uint8))
    with pytest.raises(DataError, match=r"Too few samples of 'dog' \(2\)"):
        image_folder(root=str(tmp_path))


# Lists of paths.


def listed(tmp_path: Path, rows: list[str] | None = None, header: str = "path,label") -> str:
    tree(tmp_path / "images")
    rows = rows or [f"images/{name}/{i}.png,{name}" for name in ("cat", "dog") for i in range(10)]
    path = tmp_path / "list.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def test_list_starts_at_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = listed(tmp_path)
    monkeypatch.chdir("/")
    data = image_list(path=path)
    assert data.record["sizes"] == {"train": 14, "val": 2, "test": 4}
    assert data.train.read(0).shape == (3, 4, 5)


def test_list_with_root_and_other_columns(tmp_path: Path) -> None:
    rows = [f"{name},{name}/{i}.png" for name in ("cat", "dog") for i in range(10)]
    path = listed(tmp_path, rows, "kind,file")
    data = image_list(path=path, path_column="file", label_column="kind", root=str(tmp_path / "images"))
    assert data.spec.class_names == ("cat", "dog")
    data = image_list(path=listed(tmp_path, rows, "Class,File"), root=str(tmp_path / "images"))  # usual names
    assert data.spec.class_names == ("cat", "dog")


def test_list_with_paths_of_windows_and_of_the_web(tmp_path: Path) -> None:
    rows = [rf"images\{name}\{i}.png,{name}" for name in ("cat", "dog") for i in range(10)]
    data = image_list(path=listed(tmp_path, rows))
    assert len(data.train) == 14
    assert "Paths with backslashes, which are read as slashes: 20." in data.notes
    with pytest.raises(DataError, match=r"list\.csv, row 3: https://x\.org/1\.png is a URL\. Download"):
        image_list(path=listed(tmp_path, ["images/cat/0.png,cat", "https://x.org/1.png,dog"]))


def test_list_from_python(tmp_path: Path) -> None:
    files = sorted(str(path) for path in tree(tmp_path).rglob("*.png"))
    data = image_list_from(files, [Path(path).parent.name for path in files], split_seed=3)
    assert {*paths(data, "train"), *paths(data, "val"), *paths(data, "test")} == set(files)
    with pytest.raises(DataError, match="20 paths but 1 labels"):
        image_list_from(files, ["cat"])


def test_absent_and_broken_images_name_the_row(tmp_path: Path) -> None:
    rows = [f"images/{name}/{i}.png,{name}" for name in ("cat", "dog") for i in range(10)]
    path = listed(tmp_path, [*rows[:4], "images/cat/99.png,cat", *rows[4:]])
    with pytest.raises(DataError, match=r"images/cat/99\.png can't be found \(.*list\.csv, row 6\)"):
        image_list(path=path)
    path = listed(tmp_path, rows)
    data = image_list(path=path)
    broken = Path(data.test.name(0))
    broken.write_text("<html>")
    row = 2 + rows.index(f"{broken.relative_to(tmp_path)},{broken.parent.name}")
    with pytest.raises(DataError, match=rf"{broken} is a web page.*list\.csv, row {row}\."):
        data.test.read(0)


def test_empty_cells_and_unknown_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3: the label \(column 'label'\) is empty"):
        image_list(path=listed(tmp_path, ["images/cat/0.png,cat", "images/cat/1.png,"]))
    with pytest.raises(DataError, match=r"no column called path, file, .*dataset\.path_column=NAME"):
        image_list(path=listed(tmp_path, header="picture,label"))
    with pytest.raises(DataError, match=r"dataset\.label_column: .*no column 'kind'"):
        image_list(path=listed(tmp_path), label_column="kind")


def test_dogcat(shared: Callable[[str], Path]) -> None:
    data = image_folder(root=str(shared("dogcat")))
    assert data.spec.class_names == ("cat", "dog")
    assert len(data.train) + len(data.val) + len(data.test) == 1399
    assert all(data.test.read(i).shape[0] == 3 for i in range(0, len(data.test), 20))


def test_list_without_its_absent_images(tmp_path: Path) -> None:
    path = listed(tmp_path)
    Path(path).write_text(Path(path).read_text().rstrip("\n") + "\ngone.png,cat\n")
    with pytest.raises(DataError, match=r"gone\.png can't be found"):
        image_list(path=path)
    assert "Left out: 1 of " in image_list(path=path, on_bad_sample="skip").notes[0]
