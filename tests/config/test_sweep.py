"""The settings of a sweep: declared in conf/sweep.yaml, given by a command or a recipe, refused for a single run."""

from __future__ import annotations

from dataclasses import fields

import pytest

from ptrun.config import compose, schema
from ptrun.config.compose import Composer
from ptrun.config.folders import shipped_conf
from ptrun.config.sweep import SweepSettings, read_settings, refuse_settings
from ptrun.errors import ConfigError


def test_the_fields_are_the_keys_of_the_yaml_file():
    keys = schema.read(shipped_conf() / "sweep.yaml").keys
    assert [field.name for field in fields(SweepSettings)] == list(keys)
    assert all(key.meaning for key in keys.values())


def test_defaults_and_given_values():
    composed = Composer().compose(["sweep.jobs=3", "sweep.dir=x"])
    assert read_settings(composed) == SweepSettings(3, None, 0, False, "x")
    assert "sweep" not in compose.plain(composed, resolve=True)
    assert read_settings(Composer().compose([])).jobs == "auto"


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("sweep.jobs=0", "sweep.jobs: expected int >= 1 or auto, got 0"),
        ("sweep.timeout_minutes=soon", "sweep.timeout_minutes: expected float > 0 or null"),
        ("sweep.retry=1", "sweep.retry: there is no such key. Did you mean 'sweep.retries'?"),
    ],
)
def test_mistakes_are_sentences(word: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence.replace(".", r"\.").replace("?", r"\?")):
        read_settings(Composer().compose([word]))


def test_a_single_run_has_none():
    refuse_settings(["seed=1", "label=sweep.jobs"])
    with pytest.raises(ConfigError, match=r"ptrun train -m sweep\.jobs=2"):
        refuse_settings(["seed=1", "sweep.jobs=2"])
