"""Published weights are taken from torch's cache; tests/models/test_pretrained.py has the case without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.errors import DataError
from ptrun.models.weights.download import cached_weights


def test_a_file_in_the_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "net-1234.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    assert cached_weights("https://example.invalid/net-1234.pth", "model.weights") == path


def test_an_address_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"can't be downloaded .* Put the file net\.pth into .*model\.weights=FILE"):
        cached_weights((tmp_path / "absent" / "net.pth").as_uri(), "model.weights")
