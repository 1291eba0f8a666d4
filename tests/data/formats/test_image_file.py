"""Images have the pixels that Pillow reads; dataset.decode=scaled reads large JPEGs smaller, at almost no loss."""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from support import Ended, newest_run
from torch import Tensor

from ptrun.build import run
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.data.formats import image_file
from ptrun.data.formats.image_file import ImageReader, plain_jpeg_size
from ptrun.errors import ConfigError, DataError
from ptrun.transforms.geometry import resize

ORIENTATION = 0x0112
MAX_LEVELS = 6.0  # conf/dataset/image_folder.yaml promises that no photo differs by more in the mean


RED_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]] * 3, np.uint8)  # 3 rows of a red and a blue pixel


def save(path: Path, pixels: object = RED_BLUE, **options: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)  # type: ignore[arg-type]
    return str(path)


def waves(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A smooth picture that differs in every corner and channel: a shift by half a pixel shows, rounding does not."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [np.sin(x / (19 + c) + c) * np.cos(y / (23 - c)) + 0.3 * np.sin((x + 2 * y) / 31) for c in range(3)]
    return (127.5 + 95 * np.stack(channels, axis=2)).astype(np.uint8)


def jpeg(path: Path, height: int, width: int, orientation: int = 1, mode: str = "RGB", **options: Any) -> str:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(waves(height, width)).convert(mode)
    turned = {"exif": exif} if orientation != 1 else {}
    image.save(path, **{"quality": 95, "subsampling": 0, **turned, **options})
    return str(path)


def difference(image: Tensor, other: Tensor) -> Tensor:
    return (image.int() - other.int()).abs().float()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpegs_are_upright_with_the_pixels_that_pillow_reads(tmp_path: Path, orientation: int) -> None:
    path = jpeg(tmp_path / "a.jpg", 37, 53, orientation)
    with Image.open(path) as image:
        expected = torch.from_numpy(np.array(ImageOps.exif_transpose(image))).permute(2, 0, 1)
    assert torch.equal(ImageReader()(path), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64,), (40, 90), (47,), (150,)])
@pytest.mark.parametrize("height_width", [(303, 405), (605, 331)])
def test_a_large_jpeg_is_read_in_its_place_and_size(
    tmp_path: Path, height_width: tuple[int, int], size: tuple[int, ...], orientation: int
) -> None:
    path = jpeg(tmp_path / "a.jpg", *height_width, orientation)
    scale = resize(size=list(size)).apply
    expected, actual = scale(ImageReader()(path)), ImageReader(scaled_to=size)(path)
    assert actual.shape == expected.shape
    assert torch.equal(scale(actual), actual), "`resize` should have nothing left to do"
    assert actual.permute(1, 2, 0).is_contiguous()
    assert not torch.equal(actual, expected), "the whole image was decoded"
    assert difference(actual, expected).max() <= 5
    assert difference(actual, expected).mean() <= 0.7


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_colors_are_reduced(tmp_path: Path, mode: str, channels: int) -> None:
    path = jpeg(tmp_path / "a.jpg", 303, 405, mode=mode)
    actual = ImageReader(channels, scaled_to=(60,))(path)
    expected = resize(size=60).apply(ImageReader(channels)(path))
    assert actual.shape == expected.shape == (channels, 60, 80)
    assert difference(actual, expected).mean() <= 1


def test_other_images_keep_their_bits(tmp_path: Path) -> None:
    small = jpeg(tmp_path / "small.jpg", 199, 240)
    Image.fromarray(waves(500, 400)).save(tmp_path / "large.png")
    for path in (small, str(tmp_path / "large.png")):
        assert torch.equal(ImageReader(scaled_to=(100,))(path), ImageReader()(path))


def test_large_jpegs_are_checked_like_others(tmp_path: Path) -> None:
    path = Path(jpeg(tmp_path / "a.jpg", 500, 400))
    with pytest.raises(DataError, match="more than 1,000 are taken for an attack"):
        ImageReader(max_pixels=1000, scaled_to=(50,))(str(path))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"a\.jpg is damaged: image file is truncated"):
        ImageReader(scaled_to=(50,))(str(path))


def test_only_what_needs_nothing_but_decoding_is_kept_from_pillow(tmp_path: Path) -> None:
    def size(path: str, channels: int = 3) -> tuple[int, int] | None:
        return plain_jpeg_size(Path(path).read_bytes(), channels)

    for number, options in enumerate(
        ({"quality": 20}, {"progressive": True}, {"comment": "x"}, {"restart_marker_rows": 1})
    ):
        assert size(jpeg(tmp_path / f"{number}.jpg", 37, 53, **options)) == (37, 53)
    assert size(jpeg(tmp_path / "grey.jpg", 37, 53, mode="L"), 1) == (37, 53)
    assert size(str(tmp_path / "grey.jpg")) is None
    assert size(jpeg(tmp_path / "turned.jpg", 37, 53, 6)) is None
    assert size(jpeg(tmp_path / "cmyk.jpg", 37, 53, mode="CMYK")) is None
    content = Path(jpeg(tmp_path / "a.jpg", 37, 53)).read_bytes()
    assert not any(plain_jpeg_size(content[:length], 3) for length in range(600))
    assert plain_jpeg_size(b"\xff\xd8\xff\xe0\0\0" * 9, 3) is None


# Through the configuration.

SCALE = "[{resize: {size: 40}}, {center_crop: {size: 32}}, horizontal_flip, {normalize: {mean: half, std: half}}]"
CROP = "[{random_resized_crop: {size: 32}}, {normalize: {mean: half, std: half}}]"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            jpeg(tmp_path / "photos" / label / f"{number}.jpg", 96 + 9 * number, 131)
    return tmp_path / "photos"


def built(photos: Path, train: str, *more: str) -> run.Run:
    overrides = (
        "dataset=image_folder",
        f"dataset.root={photos}",
        f"transform.train={train}",
        f"transform.eval={SCALE.replace('horizontal_flip, ', '')}",
    )
    small = ("transform=imagenet", "train.batch_size=4", "train.num_workers=0")
    config = load.load_config(Composer(), [*overrides, *small, *more]).config
    return run.build(auto.resolve_auto(config)[0])


def samples(run: run.Run) -> dict[int, Tensor]:
    batches = run.ctx.train.epoch(1)
    return {int(i): x for batch in batches for i, x in zip(batch.indices, batch.inputs, strict=True)}


def test_a_sample_is_the_same_for_any_workers_batches_and_cache(photos: Path) -> None:
    exact, scaled = samples(built(photos, SCALE)), samples(built(photos, SCALE, "dataset.decode=scaled"))
    assert exact.keys() == scaled.keys()
    assert all(0 < (exact[i] - scaled[i]).abs().mean() < 0.02 for i in exact)
    folder = f"dataset.cache_dir={photos.parent / 'cache'}"
    samples(built(photos, SCALE, "dataset.cache=disk", folder))
    for more in (
        ["train.num_workers=2"],
        ["train.batch_size=5"],
        ["dataset.cache=ram"],
        ["dataset.cache=disk", folder],
    ):
        actual = samples(built(photos, SCALE, "dataset.decode=scaled", *more))
        assert all(torch.equal(actual[i], scaled[i]) for i in scaled), more


def test_a_note_says_where_it_changes_nothing(photos: Path) -> None:
    run = built(photos, CROP, "dataset.decode=scaled")
    (note,) = (note for note in run.notes if "decode" in note)
    assert note.startswith("dataset.decode=scaled: images of transform.train are decoded whole, because its first ")
    whole = built(photos, CROP)
    assert all(torch.equal(a, b) for a, b in zip(samples(run).values(), samples(whole).values(), strict=True))


def test_scaled_photos_stay_within_what_is_promised(shared: Callable[[str], Path]) -> None:
    paths = sorted(map(str, shared("dogcat").rglob("*.jpg")))[::15]
    for size in (64, 128, 160):
        scale = resize(size=size).apply
        pairs = [(ImageReader(scaled_to=(size,))(path), scale(ImageReader()(path))) for path in paths]
        means = [difference(scale(actual), expected).mean().item() for actual, expected in pairs]
        assert max(means) < MAX_LEVELS
        assert sum(means) / len(means) < 1.5


def test_a_run_is_not_resumed_with_other_pixels(photos: Path, folder: Path, ptrun: Callable[..., Ended]) -> None:
    marks = ("dataset=image_folder", f"dataset.root={photos}", f"transform.train={SCALE}", "transform=imagenet")
    evaluation = f"transform.eval={SCALE.replace('horizontal_flip, ', '')}"
    few = ("model=simplenet", "train.epochs=1", "train.batch_size=8", "train.num_workers=0", "-q")
    assert ptrun("train", *marks, evaluation, *few).code == 0
    ended = ptrun("resume", str(newest_run(folder)), "train.epochs=2", "dataset.decode=scaled")
    assert ended.code == 2
    assert "dataset.decode: the run was started with 'exact', now it is 'scaled'" in ended.err
    insisted = ("dataset.decode=scaled", "--allow-change", "dataset.decode")
    ended = ptrun("resume", str(newest_run(folder)), "train.epochs=2", *insisted)
    assert ended.code == 0, ended.err
    assert "The data are not those" in ended.out


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    pixels = ImageReader()(path)
    assert pixels.dtype == torch.uint8
    assert pixels.permute(1, 2, 0).is_contiguous()
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), RED_BLUE)


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "LA", "L", "1", "PA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_modes_become_color_or_gray(tmp_path: Path, mode: str, channels: int) -> None:
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


@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}, {"quality": 20}]
)
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
    Image.fromarray(RED_BLUE).save(tmp_path / "ppm.png", format="PPM")
    for name, reason in {
        "cut.jpg": "is damaged: image file is truncated",
        "cut.png": "is damaged",
        "empty.jpg": r"is empty \(0 bytes\)",
        "page.jpg": "is a web page",
        "text.png": "is not an image in a known format",
        "ppm.png": "is not an image in a known format",
        "absent.png": "does not exist",
    }.items():
        with pytest.raises(DataError, match=f"{tmp_path / name} {reason}"):
            ImageReader()(str(tmp_path / name))


def test_reader_goes_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(ImageReader(1, 100))) == ImageReader(1, 100)


def test_two_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.channels is 2"):
        ImageReader(2)
