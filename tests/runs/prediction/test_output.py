"""Predictions never replace their input, and what a file can't hold is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ptrun.errors import ConfigError
from ptrun.runs.prediction.output import output_path, require_use


def test_the_name_follows_from_the_input(folder: Path):
    assert output_path(None, ["data/new.csv"], overwrite=False) == Path("new-predictions.csv")
    assert output_path(None, ["photos/*.jpg"], overwrite=False) == Path("input-predictions.csv")
    assert output_path("a.npy", ["-"], overwrite=False) == Path("a.npy")
    assert output_path(None, ["-"], overwrite=False) is None
    assert output_path("-", ["new.csv"], overwrite=False) is None


def test_an_input_is_never_replaced(folder: Path):
    (folder / "new.csv").write_text("a\n1\n")
    os.symlink("new.csv", "link.csv")
    for output in ("new.csv", "./new.csv", "link.csv", str(folder / "new.csv")):
        with pytest.raises(ConfigError, match="is the input, which stays as it is"):
            output_path(output, ["other.csv", "new.csv"], overwrite=True)
    assert output_path("new.csv", ["other.csv"], overwrite=True) == Path("new.csv")
    with pytest.raises(ConfigError, match="exists already"):
        output_path("new.csv", ["other.csv"], overwrite=False)


def test_settings_without_a_use_are_refused():
    csv, npy = Path("a.csv"), Path("a.npy")
    require_use(csv, "class", top_k=3, keep="all", interval=None)
    require_use(None, "values", top_k=1, keep=["id"], interval=0.9)
    with pytest.raises(ConfigError, match="top_k: only what=class writes the most probable classes"):
        require_use(csv, "probabilities", top_k=3, keep=(), interval=None)
    with pytest.raises(ConfigError) as error:
        require_use(npy, "class", top_k=2, keep=["id"], interval=0.9)
    for name in ("top_k", "keep", "interval"):
        assert f"{name}: a .npy file holds one array, and has no place for it. Choose output=a.csv." in str(error.value)
