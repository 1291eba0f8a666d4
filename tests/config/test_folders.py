"""Where YAML files are looked for, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config import folders
from ptrun.errors import ConfigError


def test_the_shipped_folder_has_the_root_files():
    assert {"train.yaml", "eval.yaml", "export.yaml"} <= {path.name for path in folders.shipped_conf().glob("*.yaml")}


def test_the_folder_of_the_flag_comes_before_that_of_the_working_folder(folder: Path):
    assert folders.conf_folders(None) == ()
    (folder / "conf").mkdir()
    (folder / "mine").mkdir()
    assert folders.conf_folders(None) == (folder / "conf",)
    assert folders.conf_folders("mine") == (folder / "mine", folder / "conf")
    assert folders.conf_folders("conf") == (folder / "conf",)
    with pytest.raises(ConfigError, match="--config-dir: there is no folder"):
        folders.conf_folders("gone")


def test_the_shipped_folder_is_not_a_users_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folders.shipped_conf().parent)
    assert folders.user_conf() is None


def test_files_of_the_same_name_are_found(folder: Path):
    own = folder / "conf" / "model"
    own.mkdir(parents=True)
    for name in ("convnet", "mine"):
        (own / f"{name}.yaml").write_text(f"name: {name}\n")
    assert folders.replaced_files([folder / "conf"]) == [own / "convnet.yaml"]
