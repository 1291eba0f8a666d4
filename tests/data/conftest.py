"""Where the checks on large real data sets find them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Function from a name to its folder below PTRUN_SHARED_DATA; skips the test when it is not there."""

    def folder(name: str) -> Path:
        root = os.environ.get("PTRUN_SHARED_DATA", "")
        if not root or not (Path(root) / name).is_dir():
            pytest.skip(f"{name} is not below PTRUN_SHARED_DATA")
        return Path(root) / name

    return folder
