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

from ptrun.errors import ConfigError, DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_ORIENTATION = 274  # the EXIF tag
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of RGB.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


@dataclass(frozen=True)
class ImageReader:
    """Function from a path to pixels: upright by its EXIF tag, RGB (3 channels) or grey (1 channel).

    Transparency is dropped; 16-bit samples are scaled to 8 bits, never clipped.
    """

    channels: int = 3
    max_pixels: int = MAX_PIXELS

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
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                self._check_size(image, path)
                fast = _decoded(content, self.channels) if self._is_plain_jpeg(image) else None
                if fast is not None and fast.shape == (self.channels, *image.size[::-1]):
                    return fast
                pixels = _pixels(ImageOps.exif_transpose(image), self.channels, path)
        except BROKEN as error:
            raise DataError(f"{path} {_reason(path, error)}") from error
        return torch.from_numpy(pixels).view(pixels.shape[0], pixels.shape[1], -1).permute(2, 0, 1)

    def _is_plain_jpeg(self, image: Image.Image) -> bool:
        """Whether nothing but decoding is to be done: colours as they are asked for, and already upright."""
        wanted = ("RGB",) if self.channels == 3 else ("L",)
        return image.format == "JPEG" and image.mode in wanted and image.getexif().get(_ORIENTATION, 1) == 1

    def _check_size(self, image: Image.Image, path: str) -> None:
        width, height = image.size
        if width * height > self.max_pixels:
            raise DataError(
                f"{path} has {width} x {height} = {width * height:,} pixels; more than {self.max_pixels:,} are taken for an attack. "
                "If the file is good, raise dataset.max_pixels."
            )


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
