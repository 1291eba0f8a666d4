"""Published weights: downloaded once, into torch's cache."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import torch

from ptrun.errors import DataError

CONNECT_TIMEOUT_SECONDS = 15


def cached_files() -> set[str]:
    """The names of the files in torch's cache."""
    return {path.name for path in (Path(torch.hub.get_dir()) / "checkpoints").glob("*.pth")}


def cached_weights(url: str, option: str) -> Path:
    """Return the file of a URL in torch's cache, downloaded and checked against the hash in its name.

    Raises DataError when it can't be downloaded; the message says where to put the file, or which `option` names one.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_SECONDS).close()  # torch.hub would wait forever
        digest = path.stem.rsplit("-", 1)[-1]  # resnet50-11ad3fa6.pth: the first digits of its SHA-256
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"The weights at {url} can't be downloaded ({error}). Put the file {path.name} into {folder}, "
            f"or name a file that you have with {option}=FILE."
        ) from error
    return path
