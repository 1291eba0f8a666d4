"""Makes the folder of an output, and finds out before the work whether files can be written there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ptrun.errors import ResourceError


def make_writable(folder: Path, setting: str) -> None:
    """Make a folder and those above it.

    setting: the one that named it. Raises ResourceError when the folder can't be made, or no file be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResourceError(
            f"{setting}: nothing can be written to the folder {folder} ({error.strerror}). Choose another one."
        ) from error
