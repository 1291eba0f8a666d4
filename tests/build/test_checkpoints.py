"""The saver is built from the settings of the group `checkpoint`."""

from __future__ import annotations

from pathlib import Path

from ptrun.build.checkpoints import build_saver
from ptrun.build.run import build
from ptrun.checkpoint import names, store
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.engine.progress import Progress


def save(folder: Path, *overrides: str) -> Path | None:
    config, _ = auto.resolve_auto(load.load_config(Composer(), ["model=simplenet", *overrides]).config)
    with build_saver(build(config), folder, {"train": "digest"}) as saver:
        return saver.save(Progress(step=3))


def test_a_checkpoint_holds_what_an_evaluation_needs(folder: Path):
    path = save(folder)
    assert path == names.step_file(folder, 3)
    saved = store.load(path)
    assert saved["config"]["model"]["name"] == "simplenet"
    assert saved["spec"]["num_outputs"] == 10
    assert saved["data"] == {"train": "digest"}
    assert set(saved["fitted"]) >= {"dataset", "class_counts"}


def test_none_saves_nothing(folder: Path):
    assert save(folder, "checkpoint=none") is None
    assert list(folder.iterdir()) == []
