"""A batch that batch normalization can't train on is answered by a sentence, and other errors are not touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support import Ended
from torch import nn

from ptrun.engine.batch_norm import explain_batch_norm
from ptrun.errors import ConfigError

Call = Callable[..., Ended]


@pytest.mark.parametrize(
    ("batch_size", "advice"), [(1, "train.batch_size=2 or more"), (32, "give another train.batch_size")]
)
def test_one_value_per_channel_is_explained(batch_size: int, advice: str):
    with (
        pytest.raises(ConfigError, match=f"train.batch_size: {batch_size} leaves .*{advice}"),
        explain_batch_norm(batch_size),
    ):
        nn.BatchNorm1d(3)(torch.zeros(1, 3))


def test_another_error_passes():
    with pytest.raises(ValueError, match="other"), explain_batch_norm(1):
        raise ValueError("other")


@pytest.mark.parametrize("compile", ["auto", "none"])  # captured before the first epoch, and not
def test_a_run_ends_with_the_sentence(compile: str, ptrun: Call):
    run = ("dataset=iris", "model=regularized", "train.epochs=1", "train.batch_size=1")
    ended = ptrun("train", *run, f"device.compile={compile}")
    assert ended.code == 2, ended.err
    assert "error: train.batch_size: 1 leaves batch normalization" in ended.err
    assert "Traceback" not in ended.err
