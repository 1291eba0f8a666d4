"""Keywords of a Python call arrive as if they were typed, whatever their texts hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config.override_text import flat_settings, override_texts
from ptrun.config.overrides import parse_values
from ptrun.errors import ConfigError

SETTINGS = {
    "optimizer": {"lr": 1e-3, "name": "adam", "betas": [0.9, 0.99]},
    "label": 'it\'s a \\ "label", 1.50',
    "train": {"epochs": 3, "clip_norm": None},
    "plots": False,
    "dataset": {"path": Path("a b/ü.csv")},
    "metrics": ["accuracy", {"top_k": {"k": 3}}],
    "empty": "",
}


def test_values_come_back_as_they_were():
    texts = override_texts(SETTINGS)
    assert parse_values(texts) == {
        "optimizer": "adam",
        "optimizer.lr": 1e-3,
        "optimizer.betas": [0.9, 0.99],
        "label": SETTINGS["label"],
        "train.epochs": 3,
        "train.clip_norm": None,
        "plots": False,
        "dataset.path": "a b/ü.csv",
        "metrics": ["accuracy", {"top_k": {"k": 3}}],
        "empty": "",
    }
    assert texts.index("optimizer='adam'") < texts.index("optimizer.lr=0.001"), "a choice comes before its settings"


def test_flat_settings_keep_values():
    assert flat_settings(SETTINGS)["dataset.path"] == "a b/ü.csv"
    assert flat_settings({"a.b": 1, "c": {"d": {"e": 2}}}) == {"a.b": 1, "c.d.e": 2}


def test_other_values_are_named():
    with pytest.raises(ConfigError, match=r"label: .* of the type object"):
        override_texts({"label": object()})
