"""Reads an image file as uint8 [channels, height, width], channels last in memory, as decoders give it.

An image that can't be read whole is a DataError naming its path. Only the decoders of FORMATS run, and none of them
before the number of pixels in the header is checked.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate

from ptrun.errors import ConfigError, DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")  # of a GIF the first picture
_JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg"})
SUFFIXES = _JPEG_SUFFIXES | {".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"}
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of RGB
MIN_REDUCTION = 2  # JPEG decoders can reduce an image by 2, 4 and 8
# Markers of JPEG segments: those with the size of the image (baseline, extended, progressive); tables, JFIF header and
# comments beside them, which do not change how pixels are shown; and the one before the pixels.
_FRAME_MARKERS = frozenset({0xC0, 0xC1, 0xC2})
_PLAIN_MARKERS = _FRAME_MARKERS | {0xC4, 0xDB, 0xDD, 0xE0, 0xFE}
_SCAN_MARKER = 0xDA
_ORIENTATION = 274  # the EXIF tag
_TRANSPOSED = frozenset({5, 6, 7, 8})  # orientations that swap height and width
# What Pillow raises for damaged files.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


@dataclass(frozen=True)
class ImageReader:
    """Reads the image at a path: upright by its EXIF tag, RGB (3 channels) or gray (1 channel).

    Transparency is dropped; 16-bit samples are scaled to 8 bits, never clipped.

    scaled_to: the length of the shorter side, or height and width, to which a JPEG is reduced that is at least
        MIN_REDUCTION times as large: first by its decoder, which then computes fewer pixels, and the rest by bilinear
        interpolation. () never reduces.
    """

    channels: int = 3
    max_pixels: int = MAX_PIXELS
    scaled_to: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ConfigError(f"dataset.channels is {self.channels}; it must be 3 (color) or 1 (gray).")

    def __call__(self, path: str) -> Tensor:
        """Return uint8 [channels, height, width]. Raises DataError for a file that is no whole image."""
        # Pillow's own limit only warns, and holds for the whole process; `_check_size` replaces it.
        Image.MAX_IMAGE_PIXELS = None
        try:
            with open(path, "rb") as file:
                content = file.read()
            # Most files need nothing but decoding, so that Pillow does not have to parse them.
            size = plain_jpeg_size(content, self.channels)
            if size is not None and self._reduced_size(*size) is None:
                self._check_size(*size, path)
                pixels = _decode_jpeg(content, self.channels)
                if pixels is not None and pixels.shape == (self.channels, *size):
                    return pixels
            return self._read_by_pillow(content, path)
        except DECODE_ERRORS as error:
            raise DataError(f"{path} {_reason(path, error)}") from error

    def _read_by_pillow(self, content: bytes, path: str) -> Tensor:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            self._check_size(height, width, path)
            reduced = self._reduced(image, path) if self.scaled_to else None
            if reduced is not None:
                return reduced
            pixels = _decode_jpeg(content, self.channels) if self._is_plain_jpeg(image) else None
            if pixels is not None and pixels.shape == (self.channels, height, width):
                return pixels
            return _as_tensor(_pixels(ImageOps.exif_transpose(image), self.channels, path))

    def _reduced_size(self, height: int, width: int) -> tuple[int, int] | None:
        """Height and width to which an upright image is reduced; None when it is too small for that."""
        if not self.scaled_to or 0 in (height, width):
            return None
        new_height, new_width = _resized(height, width, self.scaled_to)
        is_large = min(height // new_height, width // new_width) >= MIN_REDUCTION
        return (new_height, new_width) if is_large else None

    def _reduced(self, image: Image.Image, path: str) -> Tensor | None:
        """A large JPEG, upright and reduced to `scaled_to`; None for other images."""
        orientation = image.getexif().get(_ORIENTATION, 1)
        to_or_from_upright = reversed if orientation in _TRANSPOSED else tuple
        size = self._reduced_size(*to_or_from_upright(image.size[::-1]))
        if size is None:
            return None
        height, width = to_or_from_upright(size)
        drafted = image.draft(None, (width, height))
        if drafted is None:  # not a JPEG
            return None
        # The decoder rounds the size up: its last row and column may stand for less of the original than the others.
        _, (_, _, exact_width, exact_height) = drafted
        pixels = _pixels(image, self.channels, path)
        # The batch dimension is added before the permutation: with other strides, torch's result is not channels last.
        batch = torch.from_numpy(pixels).view(1, *pixels.shape[:2], -1).permute(0, 3, 1, 2)
        # torch rounds size * factor down. Without the small addition, a rounding error could take a row away.
        factors = (height + 1e-6) / exact_height, (width + 1e-6) / exact_width
        reduced = interpolate(batch, scale_factor=factors, mode="bilinear", antialias=True)[0]
        return reduced if orientation == 1 else _upright(reduced, orientation)

    def _is_plain_jpeg(self, image: Image.Image) -> bool:
        """Whether decoding is all that is needed: a JPEG that is upright and has the right channels."""
        mode = "RGB" if self.channels == 3 else "L"
        return image.format == "JPEG" and image.mode == mode and image.getexif().get(_ORIENTATION, 1) == 1

    def _check_size(self, height: int, width: int, path: str) -> None:
        if width * height > self.max_pixels:
            raise DataError(
                f"{path} has {width} x {height} = {width * height:,} pixels; more than {self.max_pixels:,} are taken "
                "for an attack. If the file is good, raise dataset.max_pixels."
            )


def plain_jpeg_size(content: bytes, channels: int) -> tuple[int, int] | None:
    """Height and width of an 8-bit JPEG with these channels, if decoding is all that it needs; else None.

    Format: segments of a marker and a length (ITU-T T.81, annex B).
    """
    if content[:2] != b"\xff\xd8":
        return None
    offset, size = 2, None
    while offset + 10 <= len(content):
        prefix, marker, length = struct.unpack_from(">BBH", content, offset)
        if marker == _SCAN_MARKER:
            return size
        if prefix != 0xFF or marker not in _PLAIN_MARKERS:
            return None
        if marker in _FRAME_MARKERS:
            bits, height, width, components = struct.unpack_from(">BHHB", content, offset + 4)
            if bits != 8 or components != channels:
                return None
            size = height, width
        offset += 2 + length
    return None


def _resized(height: int, width: int, size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width after the image transform `resize` to `size`: both, or the length of the shorter side."""
    if len(size) == 2:
        return size[0], size[1]
    short = size[0]
    return (short, int(short * width / height)) if height <= width else (int(short * height / width), short)


def _upright(image: Tensor, orientation: int) -> Tensor:
    """The image turned and flipped by its EXIF orientation."""
    pillow = Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
    pillow.getexif()[_ORIENTATION] = orientation
    return _as_tensor(np.array(ImageOps.exif_transpose(pillow)))


def is_image(value: object) -> bool:
    """Whether a value is an image of Pillow."""
    return isinstance(value, Image.Image)


def image_tensor(image: Image.Image, channels: int, name: str) -> Tensor:
    """An image of Pillow as ImageReader gives that of a file: upright, uint8 [channels, height, width]."""
    return _as_tensor(_pixels(ImageOps.exif_transpose(image), channels, name))


def _as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).view(pixels.shape[0], pixels.shape[1], -1).permute(2, 0, 1)


def _decode_jpeg(content: bytes, channels: int) -> Tensor | None:
    """Pixels of a JPEG by TorchCodec, in two thirds of Pillow's time; None when it fails, so that Pillow says why.

    Both use libjpeg-turbo; a test compares them bit for bit.
    """
    decode = _torchcodec_decoder()
    try:
        return None if decode is None else decode(content, mode="RGB" if channels == 3 else "GRAY")
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def _torchcodec_decoder() -> Callable[..., Tensor] | None:
    """TorchCodec's JPEG decoder; None when it can't be loaded, for example with a torch that it was not built for."""
    try:
        from torchcodec import decoders
    except (ImportError, OSError, RuntimeError):
        return None
    decoder: Callable[..., Tensor] = decoders.decode_jpeg  # type: ignore[attr-defined,assignment]
    return decoder


def _pixels(image: Image.Image, channels: int, path: str) -> NDArray[np.uint8]:
    """Pixels of any image that Pillow opens, [height, width] or [height, width, 3]."""
    mode = "RGB" if channels == 3 else "L"
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(np.asarray(image), path))
    elif image.mode == "P":
        image = image.convert("RGBA")  # Straight to RGB warns about palettes with transparency.
    return np.array(image if image.mode == mode else image.convert(mode))


def _eight_bits(samples: NDArray[np.generic], path: str) -> NDArray[np.uint8]:
    values = samples.astype(np.int64) if samples.dtype.kind in "iu" else None
    if values is None or values.min() < 0 or values.max() > 65535:
        raise DataError(
            f"{path} has samples that are not of 8 or 16 bits, so their range is unknown. Convert it to 8 or 16 bits."
        )
    scaled: NDArray[np.uint8] = ((values + 128) // 257).astype(np.uint8)
    return scaled


def _reason(path: str, error: BaseException) -> str:
    """Why a file can't be read, as the end of a sentence that begins with its path."""
    if isinstance(error, FileNotFoundError):
        return "does not exist."
    if isinstance(error, PermissionError):
        return "can't be opened: permission denied."
    try:
        with open(path, "rb") as file:
            start = file.read(256).lstrip().lower()
    except OSError as unreadable:
        return f"can't be read: {unreadable.strerror}."
    if not start:
        return "is empty (0 bytes). Fetch it again or remove it."
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "is a web page, not an image. Fetch it again or remove it."
    if type(error).__name__ == "UnidentifiedImageError":
        return f"is not an image in a known format ({', '.join(FORMATS)}). Convert or remove it."
    return f"is damaged: {str(error).rstrip('.') or type(error).__name__}. Fetch it again or remove it."
