"""Reads one image file as uint8 [channels, height, width], its memory ordered by pixel (channels last), as decoders give it.

Invariant: an image that can't be read whole is a DataError naming its path, never a guess; only allow-listed
decoders run, and none before the number of pixels in the header is checked.
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

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_ORIENTATION = 274  # the EXIF tag
_TURNED = frozenset({5, 6, 7, 8})  # orientations that swap height and width
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of RGB.
LEAST_REDUCTION = 2  # JPEG decoders halve, quarter, ...
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # JPEG segments that hold the size: baseline, extended, progressive
_KNOWN = _FRAMES | {0xC4, 0xDB, 0xDD, 0xE0, 0xFE}  # and tables, JFIF, comments: none says how to show the pixels
_SCAN = 0xDA
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


@dataclass(frozen=True)
class ImageReader:
    """Function from a path to pixels: upright by its EXIF tag, RGB (3 channels) or grey (1 channel).

    Transparency is dropped; 16-bit samples are scaled to 8 bits, never clipped.

    scaled_to: the length of the shorter side, or height and width, to which a JPEG is reduced that is at least
        LEAST_REDUCTION times as large: in part by its decoder, which computes fewer pixels, then bilinearly; () for never.
    """

    channels: int = 3
    max_pixels: int = MAX_PIXELS
    scaled_to: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ConfigError(f"dataset.channels is {self.channels}; it must be 3 (colour) or 1 (grey).")

    def __call__(self, path: str) -> Tensor:
        """Return uint8 [channels, height, width]. Raises DataError for a file that is no whole image."""
        # Pillow's own limit only warns, and is one for the whole process; `_check_size` below replaces it.
        Image.MAX_IMAGE_PIXELS = None
        try:
            with open(path, "rb") as file:
                content = file.read()
            size = plain_jpeg_size(content, self.channels)  # spares most files Pillow's look at them
            if size is not None and self._reduced_size(*size) is None:
                self._check_size(*size, path)
                fast = _decoded(content, self.channels)
                if fast is not None and fast.shape == (self.channels, *size):
                    return fast
            return self._by_pillow(content, path)
        except BROKEN as error:
            raise DataError(f"{path} {_reason(path, error)}") from error

    def _by_pillow(self, content: bytes, path: str) -> Tensor:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            self._check_size(height, width, path)
            small = self._reduced(image, path) if self.scaled_to else None
            if small is not None:
                return small
            fast = _decoded(content, self.channels) if self._is_plain_jpeg(image) else None
            if fast is not None and fast.shape == (self.channels, height, width):
                return fast
            return _as_tensor(_pixels(ImageOps.exif_transpose(image), self.channels, path))

    def _reduced_size(self, height: int, width: int) -> tuple[int, int] | None:
        """Height and width that an upright image is reduced to; None where it is too small for that."""
        if not self.scaled_to or 0 in (height, width):
            return None
        wanted_height, wanted_width = _resized(height, width, self.scaled_to)
        enough = min(height // wanted_height, width // wanted_width) >= LEAST_REDUCTION
        return (wanted_height, wanted_width) if enough else None

    def _reduced(self, image: Image.Image, path: str) -> Tensor | None:
        """A large JPEG in the size that is wanted, upright; None for one that is not large."""
        orientation = image.getexif().get(_ORIENTATION, 1)
        turn = reversed if orientation in _TURNED else tuple
        size = self._reduced_size(*turn(image.size[::-1]))
        if size is None:
            return None
        height, width = turn(size)
        drafted = image.draft(None, (width, height))
        if drafted is None:  # no JPEG
            return None
        # The decoder rounds its size up, so the last row and column may hold less than a whole step of the original.
        _, (_, _, exact_width, exact_height) = drafted
        pixels = _pixels(image, self.channels, path)
        # A batch made before the permutation: of other strides torch would order its result by channel.
        batch = torch.from_numpy(pixels).view(1, *pixels.shape[:2], -1).permute(0, 3, 1, 2)
        # torch rounds down what it makes of these factors; a hair more keeps it from losing a row to the arithmetic.
        factors = (height + 1e-6) / exact_height, (width + 1e-6) / exact_width
        small = interpolate(batch, scale_factor=factors, mode="bilinear", antialias=True)[0]
        return small if orientation == 1 else _upright(small, orientation)

    def _is_plain_jpeg(self, image: Image.Image) -> bool:
        """Whether nothing but decoding is to be done: colours as they are asked for, and already upright."""
        wanted = ("RGB",) if self.channels == 3 else ("L",)
        return image.format == "JPEG" and image.mode in wanted and image.getexif().get(_ORIENTATION, 1) == 1

    def _check_size(self, height: int, width: int, path: str) -> None:
        if width * height > self.max_pixels:
            raise DataError(
                f"{path} has {width} x {height} = {width * height:,} pixels; more than {self.max_pixels:,} are taken for an attack. "
                "If the file is good, raise dataset.max_pixels."
            )


def plain_jpeg_size(content: bytes, channels: int) -> tuple[int, int] | None:
    """Height and width of a JPEG of 8 bits in these channels, if decoding is all that it needs; None: Pillow has to look.

    Format: segments of a marker and a length (ITU-T T.81, annex B).
    """
    if content[:2] != b"\xff\xd8":
        return None
    place, size = 2, None
    while place + 10 <= len(content):
        mark, kind, length = struct.unpack_from(">BBH", content, place)
        if kind == _SCAN:
            return size
        if mark != 0xFF or kind not in _KNOWN:
            return None
        if kind in _FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", content, place + 4)
            if bits != 8 or components != channels:
                return None
            size = height, width
        place += 2 + length
    return None


def _resized(height: int, width: int, size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of an image of which the image transform `resize` scales the shorter side to `size`, or both."""
    if len(size) == 2:
        return size[0], size[1]
    short = size[0]
    return (short, int(short * width / height)) if height <= width else (int(short * height / width), short)


def _upright(image: Tensor, orientation: int) -> Tensor:
    """The image turned as its EXIF tag says."""
    pillow = Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
    pillow.getexif()[_ORIENTATION] = orientation
    return _as_tensor(np.array(ImageOps.exif_transpose(pillow)))


def _as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).view(pixels.shape[0], pixels.shape[1], -1).permute(2, 0, 1)


def _decoded(content: bytes, channels: int) -> Tensor | None:
    """Pixels of a JPEG by TorchCodec, in two thirds of Pillow's time; None where it refuses, so that Pillow says why.

    Both use libjpeg-turbo, and a test holds that they agree bit for bit.
    """
    decode = _fast_decoder()
    try:
        return None if decode is None else decode(content, mode="RGB" if channels == 3 else "GRAY")
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def _fast_decoder() -> Callable[..., Tensor] | None:
    """TorchCodec's JPEG decoder; None where it can't be loaded, as beside a torch that was built otherwise."""
    try:
        from torchcodec import decoders
    except (ImportError, OSError, RuntimeError):
        return None
    decoder: Callable[..., Tensor] = decoders.decode_jpeg  # type: ignore[attr-defined,assignment]
    return decoder


def _pixels(image: Image.Image, channels: int, path: str) -> NDArray[np.uint8]:
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
