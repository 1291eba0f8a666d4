"""A verb's own settings are checked; everything else is a change of the stored configuration."""

from __future__ import annotations

import pytest

from ptrun.config.verb_settings import split_settings
from ptrun.errors import ConfigError


def test_own_settings_have_their_defaults_and_others_are_changes():
    settings, changes = split_settings("eval", {"checkpoint": "a.pt", "split": "val", "device": "cpu", "train.x": 1})
    assert settings == {"checkpoint": "a.pt", "split": "val", "output_dir": "outputs", "plots": True, "plugins": []}
    assert changes == {"device": "cpu", "train.x": 1}


def test_a_mistyped_key_is_named_beside_the_one_that_is_missing():
    with pytest.raises(ConfigError) as error:
        split_settings("export", {"checkpoint": "a.pt", "fromat": "onnx", "device": "cpu"})
    assert error.value.problems[0] == "fromat: there is no such key. Did you mean 'format'?"
    assert error.value.problems[1].startswith("format: a value is needed")
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "checkpoint: a value is needed"),
        ({"checkpoint": "a", "split": "dev"}, "split: expected train or val or test"),
    ],
)
def test_mistakes(values: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        split_settings("eval", values)
