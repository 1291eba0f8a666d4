"""Hooks that are not given do nothing."""

from __future__ import annotations

import pytest

from ptrun.engine.hooks import Hooks
from ptrun.engine.progress import EpochReport


def test_by_default_nothing_stops_or_saves():
    hooks = Hooks()
    hooks.on_batch(1, 2)
    hooks.on_epoch_end(EpochReport({}, is_best=True))
    assert not hooks.should_stop()
    assert not hooks.is_save_due(1)


def test_they_are_given_by_keyword():
    with pytest.raises(TypeError):
        Hooks(lambda done, total: None)  # type: ignore[misc]
