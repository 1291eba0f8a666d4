"""What is learned from data comes from the training split, or from the checkpoint of a training."""

from __future__ import annotations

import pytest
import torch
from support import run_config

from ptrun.build.data import prepare
from ptrun.errors import ConfigError

DIGITS = ("dataset=digits", "model=simplenet")


def test_statistics_are_those_of_the_training_images():
    prepared = prepare(run_config(*DIGITS), fitted=None)
    inputs = prepared.sample_inputs(len(prepared.data.train))
    assert inputs.shape == (len(prepared.data.train), *prepared.spec.input_shape)
    assert inputs.mean().item() == pytest.approx(0, abs=1e-4)
    assert inputs.std().item() == pytest.approx(1, abs=1e-3)
    assert prepared.class_counts == torch.bincount(prepared.data.train.targets).tolist()


def test_a_checkpoint_brings_its_statistics():
    fitted = prepare(run_config(*DIGITS), fitted=None).fitted()
    again = prepare(run_config(*DIGITS, "split.seed=1"), fitted=fitted)
    assert again.fitted() == fitted
    assert prepare(run_config(*DIGITS, "split.seed=1"), fitted=None).fitted() != fitted


def test_sample_inputs_are_spread_over_the_split():
    prepared = prepare(run_config("dataset=iris", "model=simplenet"), fitted=None)
    assert prepared.sample_inputs(5).shape == (5, 4)
    assert len(prepared.sample_inputs(1000)) == len(prepared.data.train)


@pytest.mark.parametrize(
    ("transform", "sentence"),
    [
        ("transform.eval=[{mixup: {alpha: 0.2}}, normalize]", "Move them to transform.train"),
        ("transform.train=[{resize: {size: 6}}, normalize]", r"\[1, 6, 6\], evaluation images \[1, 8, 8\]"),
    ],
)
def test_pipelines_that_do_not_go_together(transform: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        prepare(run_config(*DIGITS, "transform=normalize", transform), fitted=None)
