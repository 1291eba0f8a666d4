"""Preparation and outputs inside an exported model are those of ptrun's own code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import forecast_spec
from torch import nn

from ptrun.export.served import OUTPUT_MEANINGS, NormalizePixels, Served, Standardize, make_outputs
from ptrun.metrics.predictions import to_predictions
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.pipeline import Pipeline

CLASSES = DataSpec(
    layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(4,), num_outputs=3, class_names=("a", "b", "c")
)
IMAGES = torch.randint(0, 256, (5, 2, 6, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_pixels_are_normalized_with_the_bits_of_the_pipeline():
    pipeline = Pipeline([])
    assert torch.equal(NormalizePixels()(IMAGES), pipeline.finish(IMAGES))
    pipeline.normalize([0.4, 0.5], [0.2, 0.3])
    assert pipeline.scale_shift is not None
    assert torch.equal(NormalizePixels(*pipeline.scale_shift)(IMAGES), pipeline.finish(IMAGES))


def test_numbers_that_are_large_beside_their_spread_keep_their_digits():
    years = np.array([[2019.25], [2020.5], [2021.0]])
    standardize = Standardize([2020.0], [1e-3])
    scores = ((years - 2020.0) / 1e-3).astype(np.float32)
    assert torch.equal(standardize(torch.from_numpy(years)), torch.from_numpy(scores))
    assert torch.equal(standardize(standardize.invert(torch.from_numpy(scores))), torch.from_numpy(scores))


@pytest.mark.parametrize("one_vs_rest", [False, True])
def test_probabilities_are_those_of_an_evaluation(one_vs_rest: bool):
    outputs = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)) * 4
    named = make_outputs(CLASSES, one_vs_rest)(outputs)
    expected = to_predictions(CLASSES, outputs, torch.zeros(6, dtype=torch.int64), one_vs_rest).probabilities
    assert named["probabilities"].numpy() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(named["logits"], outputs)


def test_predictions_are_in_the_units_of_the_targets():
    spec = forecast_spec(target_mean=tuple(range(6)), target_std=(2.0,) * 6)
    outputs = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    named = make_outputs(spec, False)(outputs)
    assert named["predictions"].numpy() == pytest.approx(to_predictions(spec, outputs, outputs).values, abs=1e-6)
    plain = make_outputs(forecast_spec(), False)(outputs)
    assert torch.equal(plain["predictions"], outputs), "targets without a scale are in their own units already"


def test_the_parts_run_in_a_row_and_name_their_outputs():
    served = Served(Standardize([1.0], [2.0]), nn.Flatten(), make_outputs(CLASSES, False))
    assert not served.training
    named = served(torch.ones(2, 3, dtype=torch.float64))
    assert list(named) == list(OUTPUT_MEANINGS[Task.CLASSIFICATION])
    assert torch.equal(named["logits"], torch.zeros(2, 3))
