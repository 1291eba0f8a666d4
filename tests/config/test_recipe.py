"""A recipe with another component than the one it was written for: settings of the one that is gone are left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended

from ptrun.config.compose import Composer
from ptrun.config.load import LoadedConfig, load_config
from ptrun.errors import ConfigError

RECIPE = """# @package _global_
defaults:
  - override /dataset: series
  - override /model: lstm
  - override /optimizer: sgd
model:
  hidden_features: 24
optimizer:
  lr: 0.4
  momentum: 0.9
device:
  precision: bf16
dataset:
  window: 14
"""
BASED = """# @package _global_
defaults:
  - weekly
  - override /optimizer: adam
  - _self_
optimizer:
  amsgrad: true
"""


@pytest.fixture
def composer(folder: Path) -> Composer:
    experiments = folder / "conf" / "experiment"
    experiments.mkdir(parents=True)
    (experiments / "weekly.yaml").write_text(RECIPE)
    (experiments / "monthly.yaml").write_text(BASED)
    return Composer("train", (folder / "conf",))


def load(composer: Composer, *words: str) -> LoadedConfig:
    return load_config(composer, words)


def test_settings_of_another_component_are_left_out_and_named(composer: Composer):
    config = load(composer, "experiment=weekly", "model=nlinear", "device=cpu").config
    assert (config.model.name, "hidden_features" in config.model.settings) == ("nlinear", False)
    assert (config.dataset.settings["window"], config.optimizer.settings["lr"]) == (14, 0.4)
    assert config.device.settings["precision"] == "bf16"  # devices share their settings
    (note,) = composer.notes
    assert note == "experiment=weekly has 1 setting for model=lstm. Left out, because model=nlinear is chosen."


def test_settings_of_the_command_line_stay(composer: Composer):
    optimizer = load(composer, "experiment=weekly", "optimizer=adam", "optimizer.lr=0.5").config.optimizer
    assert (optimizer.name, optimizer.settings["lr"]) == ("adam", 0.5)


def test_the_component_of_the_recipe_keeps_its_settings(composer: Composer):
    config = load(composer, "experiment=weekly", "optimizer=sgd", "model=lstm").config
    assert (config.optimizer.settings["lr"], config.model.settings["hidden_features"]) == (0.4, 24)
    assert not composer.notes


def test_a_recipe_based_on_another_keeps_its_own_settings(composer: Composer):
    config = load(composer, "experiment=monthly").config
    assert (config.optimizer.name, config.model.settings["hidden_features"]) == ("adam", 24)
    assert (config.optimizer.settings["lr"], config.optimizer.settings["amsgrad"]) == (0.001, True)
    (note,) = composer.notes
    assert note.startswith("experiment=weekly has 2 settings for optimizer=sgd. Left out")
    again = load(composer, "experiment=monthly", "optimizer=adamw").config.optimizer
    assert (again.name, again.settings["amsgrad"]) == ("adamw", False)


@pytest.mark.parametrize(
    ("entry", "sentence"), [("/experiment: weekly", "Write `- weekly`"), ("monthly", "based on itself")]
)
def test_a_base_that_hydra_would_follow_for_ever(composer: Composer, folder: Path, entry: str, sentence: str):
    (folder / "conf" / "experiment" / "monthly.yaml").write_text(f"# @package _global_\ndefaults:\n  - {entry}\n")
    with pytest.raises(ConfigError, match=sentence):
        load(composer, "experiment=monthly")


def test_the_command_says_so(composer: Composer, ptrun: Callable[..., Ended]):
    ended = ptrun("show", "experiment=weekly", "optimizer=adam")
    assert (ended.code, "for optimizer=sgd" in ended.err, "momentum" in ended.out) == (0, True, False)
    several = ptrun("show", "experiment=digits_convnet", "model=simplenet")
    assert several.code == 0, several.err
