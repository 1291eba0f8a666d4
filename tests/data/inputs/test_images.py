"""New images are found by file, folder, pattern and list, and come in batches whose bad images are left out."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from ptrun.data.formats.image_file import ImageReader
from ptrun.data.inputs.images import ImageFiles, ImagePreparation, ImagesInMemory, find_images, paths_from_stdin
from ptrun.errors import DataError
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.build import build_pipeline

SPEC = DataSpec(layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, 6, 6), num_outputs=2)


def preparation(**changes: bool) -> ImagePreparation:
    return ImagePreparation(build_pipeline([], SPEC), (3, 6, 6), **changes)


def images(folder: Path, count: int, side: int = 6) -> list[str]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}.png" for i in range(count)]
    for i, path in enumerate(paths):
        Image.new("RGB", (side, side), (i, i, i)).save(path)
    return list(map(str, paths))


def source(paths: list[str], batch_size: int, num_workers: int) -> ImageFiles:
    return ImageFiles(paths, ImageReader(3), preparation(), batch_size, num_workers, torch.device("cpu"))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_bad_images_are_left_out_of_their_batch_even_when_none_is_left(tmp_path: Path, num_workers: int):
    paths = images(tmp_path, 7)
    for i in (1, 2, 3):
        Path(paths[i]).write_bytes(b"no image")
    chunks = list(source(paths, 2, num_workers).chunks(0))
    assert [list(chunk.names) for chunk in chunks] == [paths[:2], paths[2:4], paths[4:6], paths[6:]]
    assert [sorted(chunk.problems) for chunk in chunks] == [[1], [0, 1], [], []]
    assert [len(chunk.inputs) for chunk in chunks] == [1, 0, 2, 1]
    assert [round(float(chunk.inputs[-1].max()) * 255) for chunk in chunks if len(chunk.inputs)] == [0, 5, 6]


def test_a_prediction_goes_on_within_the_files(tmp_path: Path):
    paths = images(tmp_path, 5)
    (first, *_), (last,) = list(source(paths, 2, 0).chunks(0)), list(source(paths, 2, 0).chunks(4))
    assert first.names == paths[:2]
    assert last.names == paths[4:]
    assert list(source(paths, 2, 0).chunks(6)) == []
    assert source(paths, 2, 0).identity != source(paths[:4], 2, 0).identity


def test_images_in_memory_are_prepared_like_files(tmp_path: Path):
    paths = images(tmp_path, 3)
    reader = ImageReader(3)
    memory = ImagesInMemory([reader(path) for path in paths], preparation(), 2, paths)
    for chunk, want in zip(memory.chunks(0), source(paths, 2, 0).chunks(0), strict=True):
        assert torch.equal(chunk.inputs, want.inputs)
    wrong = ImagesInMemory([torch.zeros(3, 9, 6, dtype=torch.uint8)], preparation(), 2, ["a"])
    (chunk,) = wrong.chunks(0)
    assert "a is 9x6 pixels" in chunk.problems[0]
    resized = ImagesInMemory([torch.zeros(3, 9, 6, dtype=torch.uint8)], preparation(resize=True), 2, ["a"])
    (chunk,) = resized.chunks(0)
    assert chunk.inputs.shape == (1, 3, 6, 6)
    gray = ImagesInMemory([torch.zeros(1, 6, 6, dtype=torch.uint8)], preparation(resize=True), 2, ["a"])
    (chunk,) = gray.chunks(0)
    assert "1 channels, but the model was trained on 3" in chunk.problems[0]


def test_files_folders_patterns_and_lists(folder: Path):
    images(folder / "b", 2)
    images(folder / "a", 1)
    (folder / "a" / "sub").mkdir()
    images(folder / "a" / "sub", 1)
    (folder / "a" / ".hidden.png").write_text("x")
    (folder / "a" / "notes.txt").write_text("x")
    assert find_images(["a"]) == (
        ["a/0.png", "a/sub/0.png"],
        ("Hidden files or folders, ignored: 1.", "Files that are not named like images, ignored: 1 .txt."),
    )
    assert find_images(["b/0.png", "a/*.png"])[0] == ["b/0.png", "a/0.png"]
    (folder / "b" / "list.txt").write_text("1.png\n\n../a/0.png\n")
    assert find_images(["b/list.txt"])[0] == ["b/1.png", "b/../a/0.png"]
    (folder / "b" / "marked.txt").write_text("1.png\n", encoding="utf-8-sig")
    assert find_images(["b/marked.txt"])[0] == ["b/1.png"]
    assert find_images(["**/0.png"])[0] == ["a/0.png", "a/sub/0.png", "b/0.png"]
    (folder / "b" / "list.csv").write_text("file,kind\n1.png,x\n")
    assert find_images(["b/list.csv"])[0] == ["b/1.png"]
    (folder / "b" / "other.csv").write_text("where,kind\n1.png,x\n")
    assert find_images(["b/other.csv"], "where")[0] == ["b/1.png"]
    with pytest.raises(DataError, match="no column called path, file, filename"):
        find_images(["b/other.csv"])
    with pytest.raises(DataError, match=r"c/\*.png: no file matches this pattern"):
        find_images(["c/*.png"])
    with pytest.raises(DataError, match=r"absent\.png: there is no such file or folder"):
        find_images(["absent.png"])
    assert find_images(["b/0.png", "absent.png"])[0] == ["b/0.png", "absent.png"]
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="this folder holds no image"):
        find_images(["empty"])


def test_standard_input_that_is_no_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\x89PNG\r\n"), encoding="utf-8"))
    with pytest.raises(DataError, match=r"standard input is no text\..*one in each line"):
        paths_from_stdin()
