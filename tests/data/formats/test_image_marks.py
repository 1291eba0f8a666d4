"""Whole images look whole, also with bytes after them; cut and foreign files do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptrun.data.formats.image_marks import looks_whole


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp"])
def test_whole_and_cut_images(tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    assert looks_whole(str(path))
    content = path.read_bytes()
    for length in (0, 5, 20, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:length])
        assert not looks_whole(str(path))


def test_other_files(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"<html></html>" * 10)
    assert not looks_whole(str(tmp_path / "a.jpg"))
    assert not looks_whole(str(tmp_path / "absent.jpg"))
