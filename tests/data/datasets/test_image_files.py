from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ptrun.data.dataset import Data
from ptrun.data.datasets.image_files import image_folder, image_list, image_list_from
from ptrun.data.formats import image_file
from ptrun.data.formats.image_file import ImageReader
from ptrun.data.splits import FileSplit
from ptrun.errors import ConfigError, DataError

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


# Reading one image.


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    pixels = ImageReader()(path)
    assert pixels.dtype == torch.uint8
    assert pixels.permute(1, 2, 0).is_contiguous()
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), RED_BLUE)


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "LA", "L", "1", "PA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_modes_become_colour_or_grey(tmp_path: Path, mode: str, channels: int) -> None:
    image = Image.fromarray(RED_BLUE)
    image = image.convert("L").convert(mode) if mode in ("LA", "1", "PA") else image.convert(mode)
    path = tmp_path / f"a.{'tiff' if mode in ('CMYK', 'PA') else 'png'}"
    image.save(path)
    pixels = ImageReader(channels)(str(path))
    assert pixels.shape == (channels, 3, 2)
    if mode in ("RGBA", "P", "CMYK") and channels == 3:
        assert pixels[:, 0, 0].tolist() == [255, 0, 0]


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(RED_BLUE).convert("P")
    image.save(tmp_path / "a.png", transparency=bytes([0, 128] * 20))
    assert ImageReader()(str(tmp_path / "a.png"))[:, 0, 0].tolist() == [255, 0, 0]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 257, 32896, 65535]], np.uint16))
    assert ImageReader(1)(path)[0, 0].tolist() == [0, 1, 128, 255]
    assert ImageReader(3)(path)[:, 0, 2].tolist() == [128, 128, 128]


def test_floats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="range is unknown"):
        ImageReader()(save(tmp_path / "a.tiff", np.ones((2, 2), np.float32)))


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}, {"quality": 20}])  # fmt: skip
@pytest.mark.parametrize("size", [(37, 53), (64, 48), (1, 1), (7, 200)])
def test_jpegs_have_the_pixels_that_pillow_reads(
    tmp_path: Path, options: dict[str, object], size: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    colour = save(tmp_path / "colour.jpg", pixels, **options)
    grey = save(tmp_path / "grey.jpg", pixels[..., 0], **options)
    assert image_file._torchcodec_decoder() is not None
    for path in (colour, grey):
        for channels, mode in ((3, "RGB"), (1, "L")):
            with Image.open(path) as image:
                expected = torch.from_numpy(np.array(image.convert(mode))).view(*size, channels).permute(2, 0, 1)
            assert torch.equal(ImageReader(channels)(path), expected), (path, mode)


def test_pillow_reads_where_the_torchcodec_decoder_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "colour.jpg", np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8))
    expected = ImageReader()(path)
    monkeypatch.setattr(image_file, "_torchcodec_decoder", lambda: None)
    assert torch.equal(ImageReader()(path), expected)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned by 90 degrees.
    path = save(tmp_path / "a.png", exif=exif)
    pixels = ImageReader()(path)
    assert pixels.shape == (3, 2, 3)
    assert pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert pixels[:, 1, 0].tolist() == [0, 0, 255]


def bomb(path: Path, width: int, height: int) -> str:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return str(path)


@pytest.mark.parametrize("size", [(12_000, 12_000), (20_000, 20_000)])
def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"a\.png has .* pixels; more than 89,478,485.*dataset\.max_pixels"):
        ImageReader()(bomb(tmp_path / "a.png", *size))


def test_limit_can_be_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than 5"):
        ImageReader(max_pixels=5)(save(tmp_path / "a.png"))


def test_broken_files_are_named(tmp_path: Path) -> None:
    whole = Path(save(tmp_path / "whole.jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:900])
    cut_png = tmp_path / "cut.png"
    cut_png.write_bytes(
        Path(
            save(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
        ).read_bytes()[:900]
    )
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("\n<!DOCTYPE html><html>404</html>")
    (tmp_path / "text.png").write_text("hello")
    Image.fromarray(RED_BLUE).save(tmp_path / "gif.png", format="GIF")
    for name, reason in {
        "cut.jpg": "is damaged: image file is truncated",
        "cut.png": "is damaged",
        "empty.jpg": r"is empty \(0 bytes\)",
        "page.jpg": "is a web page",
        "text.png": "is not an image in a known format",
        "gif.png": "is not an image in a known format",
        "absent.png": "does not exist",
    }.items():
        with pytest.raises(DataError, match=f"{tmp_path / name} {reason}"):
            ImageReader()(str(tmp_path / name))


def test_reader_goes_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(ImageReader(1, 100))) == ImageReader(1, 100)


def test_two_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.channels is 2"):
        ImageReader(2)


# Folders of classes.


def test_class_folders_are_cut(tmp_path: Path) -> None:
    data = image_folder(root=str(tree(tmp_path)))
    every = [path for part in ("train", "val", "test") for path in paths(data, part)]
    assert sorted(every) == sorted(str(p) for p in tmp_path.rglob("*.png"))
    assert data.spec.class_names == ("cat", "dog")
    assert data.spec.input_shape == (3, 4, 5)
    assert data.record["class_counts"] == {name: {"train": 7, "val": 1, "test": 2} for name in ("cat", "dog")}
    for i in range(len(data.test)):
        assert Path(data.test.name(i)).parent.name == data.spec.class_names[int(data.test.targets[i])]
        assert int(data.test.read(i)[0, 0, 0]) == 20 * int(data.test.targets[i]) + int(Path(data.test.name(i)).stem)
    assert image_folder(root=str(tmp_path)).train.fingerprint() == data.train.fingerprint()


def test_grey_channels(tmp_path: Path) -> None:
    assert image_folder(root=str(tree(tmp_path)), channels=1).spec.input_shape == (1, 4, 5)


def test_nested_hidden_and_foreign_files(tmp_path: Path) -> None:
    tree(tmp_path)
    save(tmp_path / "cat" / "deep" / "er" / "x.JPG")
    (tmp_path / "cat" / ".DS_Store").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "dog" / "notes.txt").touch()
    (tmp_path / "README").touch()
    data = image_folder(root=str(tmp_path))
    assert sum(len(paths(data, part)) for part in ("train", "val", "test")) == 21
    assert data.notes == (
        "Ignored 2 hidden files or folders.",
        "Ignored 2 files that are not named like images.",
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
    every = [path for part in ("train", "val", "test") for path in paths(data, part)]
    assert len(set(every)) == len(every)


def test_classes_may_be_called_train(tmp_path: Path) -> None:
    assert image_folder(root=str(tree(tmp_path, ("plane", "train")))).spec.class_names == ("plane", "train")


def test_class_that_training_lacks(tmp_path: Path) -> None:
    tree(tmp_path / "train")
    tree(tmp_path / "val")
    tree(tmp_path / "test", ("cat", "dogs"))
    with pytest.raises(DataError, match=r"not in the training data: 'dogs'.*Did you mean 'dog'"):
        image_folder(root=str(tmp_path))


def test_fitted_class_names_are_reused(tmp_path: Path) -> None:
    data = image_folder(root=str(tree(tmp_path / "a", ("ant", "cat", "dog"))))
    again = image_folder(root=str(tree(tmp_path / "b", ("dog",), 2)), fitted=data.fitted, test_fraction=1.0)
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
    tree(tmp_path, ("dog",), 2)
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
    with pytest.raises(DataError, match=r"dataset\.path_column: .*no column 'path'"):
        image_list(path=listed(tmp_path, header="file,label"))


def test_dogcat(shared: Callable[[str], Path]) -> None:
    data = image_folder(root=str(shared("dogcat")))
    assert data.spec.class_names == ("cat", "dog")
    assert len(data.train) + len(data.val) + len(data.test) == 1399
    assert all(data.test.read(i).shape[0] == 3 for i in range(0, len(data.test), 20))
