"""A path that leads to no weights is told without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ptrun.errors import CheckpointError
from ptrun.files.weights_path import is_path, require_weights_file


@pytest.mark.parametrize("text", ["a.pth", "resnet20.th", "folder/name", "model.safetensors", "x.ckpt"])
def test_a_path(text: str):
    assert is_path(text)


def test_a_name_is_a_path_where_there_is_such_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert not is_path("IMAGENET1K_V1")
    Path("IMAGENET1K_V1").write_text("x")
    assert is_path("IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no such file. weights takes a file of torch.save"),
        (b"", "is empty"),
        (b"\n<!doctype html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
    ],
)
def test_what_is_no_weights(content: bytes | None, sentence: str, tmp_path: Path):
    path = tmp_path / "w.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        require_weights_file(path, "weights")
    with pytest.raises(CheckpointError, match="this is a folder"):
        require_weights_file(tmp_path, "weights")


def test_torch_is_not_needed():
    code = "import sys, ptrun.runs.start_weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
