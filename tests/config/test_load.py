"""One way in: compose, import plugins, check; one error lists everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ptrun.config.compose import Composer
from ptrun.config.load import import_components, load_config, thaw
from ptrun.errors import ConfigError

PLUGIN = """
from torch import nn
from ptrun.registry import models

@models.register
def loaded_for_a_test(spec, *, width=4, names=("a", "b")):
    return nn.Linear(1, width)
"""


def test_the_configuration_and_what_was_written():
    config, as_written = load_config(Composer(), ["label=seed${seed}", "seed=3", "model=convnet"])
    assert (config.label, config.seed, config.model.name) == ("seed3", 3, "convnet")
    assert as_written["label"] == "seed${seed}"


def test_a_plugins_component_is_chosen_and_set_like_a_shipped_one(folder: Path):
    (folder / "mine.py").write_text(PLUGIN)
    words = ["plugins=[mine.py]", "model=loaded_for_a_test", "model.width=9"]
    model = load_config(Composer(), words).config.model
    assert model.settings == {"width": 9, "names": ["a", "b"]}
    assert load_config(Composer(), words).config.model == model  # the same file again
    with pytest.raises(ConfigError, match=r"model\.widht: there is no such key\. Did you mean 'model\.width'\?"):
        load_config(Composer(), [*words, "model.widht=3"])


def test_problems_of_choices_and_of_values_come_together():
    with pytest.raises(ConfigError) as error:
        load_config(Composer(), ["model=covnet", "train.epochs=0"])
    assert [problem.partition(":")[0] for problem in error.value.problems] == ["model", "train.epochs"]


def test_a_preset_without_its_package_line(folder: Path):
    (folder / "conf" / "experiment").mkdir(parents=True)
    (folder / "conf" / "experiment" / "mine.yaml").write_text("seed: 3\n")
    with pytest.raises(ConfigError, match="lacks the line `# @package _global_` at its top"):
        load_config(Composer("train", [folder / "conf"]), ["experiment=mine"])


def test_plugins_have_to_be_a_list():
    with pytest.raises(ConfigError, match=r"expected a list of files, got 'a.py'. Write plugins=\[a.py\]"):
        load_config(Composer(), ["plugins=a.py"])


def test_all_registries_are_returned():
    assert {"model", "dataset", "optimizer", "scheduler"} <= set(import_components([]))


def test_a_configuration_that_is_a_sweep_is_refused():
    with pytest.raises(ConfigError, match="which -m starts"):
        load_config(Composer(), ["hydra.mode=MULTIRUN"])


def test_a_stored_configuration_is_the_same_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PTRUN_LABEL", "mine")
    loaded = load_config(Composer(), ["model=convnet", "metrics=[accuracy]", "seed=3"])
    stored = {**loaded.config.to_dict(), "label": "${oc.env:PTRUN_LABEL}"}
    config, as_written = thaw(stored, ())
    assert config == replace(loaded.config, label="mine")
    assert as_written["label"] == "${oc.env:PTRUN_LABEL}"
