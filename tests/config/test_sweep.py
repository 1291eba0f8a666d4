"""The settings of a sweep: declared in conf/sweep/grid.yaml, given by a command or recipe, refused for one run."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from ptrun.config import compose, schema
from ptrun.config.compose import Composer
from ptrun.config.folders import shipped_conf
from ptrun.config.sweep import SEARCHES, SweepSettings, as_settings, read_settings, refuse_settings
from ptrun.errors import ConfigError


def test_the_fields_are_the_keys_of_the_yaml_file():
    keys = schema.read(shipped_conf() / "sweep" / "grid.yaml", "sweep").keys
    assert [field.name for field in fields(SweepSettings)] == ["name", *keys]
    assert all(key.meaning for key in keys.values())


def test_each_search_has_a_file_with_the_same_settings():
    assert schema.names("sweep") == sorted(("grid", *SEARCHES))
    files = [schema.read(shipped_conf() / "sweep" / f"{name}.yaml", "sweep") for name in ("grid", *SEARCHES)]
    assert all(list(file.keys) == list(files[0].keys) and file.summary for file in files)


def test_defaults_and_given_values():
    composed = Composer().compose(["sweep.jobs=3", "sweep.dir=x"])
    settings = read_settings(composed)
    assert (settings.name, settings.jobs, settings.retries, settings.dir) == ("grid", 3, 0, "x")
    assert "sweep" not in compose.plain(composed, resolve=True)
    assert read_settings(Composer().compose([])).jobs == "auto"
    settings = read_settings(Composer().compose(["sweep=tpe", "sweep.seed=3"]))
    assert (settings.name, settings.trials, settings.seed, settings.is_search) == ("tpe", 50, 3, True)


def test_a_root_file_without_the_group_has_the_defaults():
    assert as_settings({"retries": 2}) == replace(as_settings({}), retries=2)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("sweep.jobs=0", "sweep.jobs: expected int >= 1 or auto, got 0"),
        ("sweep.timeout_minutes=soon", "sweep.timeout_minutes: expected float > 0 or null"),
        ("sweep.memory_gib=0", "sweep.memory_gib: expected float > 0 or null"),
        ("sweep.trials=5", "a grid runs every combination of its values, .*sweep=random sweep.trials=5"),
        ("sweep.pruner=halving", "sweep.pruner: expected none or asha or median or hyperband"),
        ("sweep.objectives=[val/acuracy,parameters]", "there is no 'val/acuracy'. Did you mean 'val/accuracy'?"),
        ("sweep.objectives=[val/accuracy]", "sweep.objectives: one objective is train.monitor"),
        ("sweep.retry=1", "sweep.retry: there is no such key. Did you mean 'sweep.retries'?"),
    ],
)
def test_mistakes_are_sentences(word: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")):
        read_settings(Composer().compose([word]))


def test_a_single_run_has_none():
    refuse_settings(["seed=1", "label=sweep.jobs"])
    with pytest.raises(ConfigError, match=r"ptrun train -m sweep\.jobs=2"):
        refuse_settings(["seed=1", "sweep.jobs=2"])
    with pytest.raises(ConfigError, match="ptrun train -m sweep=tpe"):
        refuse_settings(["sweep=tpe"])


def test_a_search_that_does_not_exist():
    with pytest.raises(ConfigError, match=r"there is no sweep 'tpa'\. Did you mean 'tpe'"):
        Composer().compose(["sweep=tpa"])
