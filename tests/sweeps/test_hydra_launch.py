"""A launcher of Hydra that the user chose runs the jobs of a sweep."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, Ended

LAUNCHER = """
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore

class OwnLauncher(BasicLauncher):
    pass

ConfigStore.instance().store(
    group="hydra/launcher", name="own", node={"_target_": "hydra_plugins.own.OwnLauncher"}, provider="own"
)
"""


@pytest.mark.slow
def test_a_launcher_of_the_users(folder: Path, process: Callable[..., Ended]):
    (folder / "site" / "hydra_plugins").mkdir(parents=True)
    (folder / "site" / "hydra_plugins" / "own.py").write_text(LAUNCHER)
    words = ("train", "-m", "model=simplenet", "seed=1,2", "train.max_steps=1", "hydra/launcher=own")
    ended = process(*words, PYTHONPATH=f"{folder / 'site'}:{ROOT}")
    assert ended.code == 0, ended.err
    assert "jobs    as the sweeper decides" in ended.out
    sweep = (folder / "outputs" / "latest").resolve()
    assert (sweep / "multirun.yaml").is_file()
    assert [json.loads((sweep / job / "summary.json").read_text())["seed"] for job in "01"] == [1, 2]
