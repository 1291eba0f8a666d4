"""Predictions of several models are averaged; models of different things are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import train

from ptrun.build.inputs import InputSettings
from ptrun.data.inputs.source import Chunk
from ptrun.errors import ConfigError
from ptrun.runs.prediction.predictor import Predictor, aligned_chunks
from ptrun.runs.trained_model import load_trained_model


class Listed:
    """A source of chunks that are given."""

    count, identity, notes = None, "", ()

    def __init__(self, *chunks: Chunk) -> None:
        self._chunks = chunks

    def chunks(self, start: int) -> object:
        return iter(self._chunks)


def test_inputs_that_one_member_can_not_prepare_are_left_out_of_all():
    names = ["a", "b", "c"]
    first = Chunk(names, torch.tensor([[0.0], [2.0]]), {1: "bad in the first"})
    second = Chunk(names, torch.tensor([[0.0], [1.0]]), {2: "bad in the second"})
    ((chunk, inputs),) = aligned_chunks([Listed(first), Listed(second)], 0)  # type: ignore[list-item]
    assert list(chunk.problems) == [1, 2]
    assert [member.tolist() for member in inputs] == [[[0.0]], [[0.0]]]


def test_numbers_are_averaged_and_their_spread_is_known(folder: object):
    runs = [
        train("dataset=diabetes", "model=simplenet", "train.max_steps=3", f"seed={seed}", quiet=True).run_dir
        for seed in (1, 2)
    ]
    predictor = Predictor(tuple(load_trained_model(str(run)) for run in runs))
    assert len(predictor.preparations(InputSettings())) == 1, "equal preparations are made once"
    inputs = torch.randn(5, 10)
    both = predictor.interpret([inputs], 2, "values")
    single = [Predictor((member,)).interpret([inputs], 2, "values").values for member in predictor.members]
    assert both.values.tolist() == np.mean(single, axis=0).tolist()
    assert both.disagreement is not None
    assert both.disagreement.tolist() == np.std(single, axis=0).tolist()
    assert predictor.interpret([inputs[:0]], 2, "values").values.shape == (0, 1)
    with pytest.raises(ConfigError, match="have no average"):
        predictor.interpret([inputs], 2, "embedding")


def test_models_of_different_things_are_refused(folder: object):
    first = train("dataset=diabetes", "model=simplenet", "train.max_steps=1", quiet=True).run_dir
    second = train("dataset=wine", "model=simplenet", "train.max_steps=1", quiet=True).run_dir
    with pytest.raises(ConfigError, match="need one task"):
        Predictor((load_trained_model(str(first)), load_trained_model(str(second))))
