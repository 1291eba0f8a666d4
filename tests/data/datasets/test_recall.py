"""Recall: the class is the first symbol, nothing else tells it, and a seed makes the same sequences anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from support import train

import ptrun
from ptrun.data.datasets.recall import recall
from ptrun.data.split_settings import SplitSettings
from ptrun.data.splits import Split, TensorSplit


def tensors(split: Split) -> TensorSplit:
    assert isinstance(split, TensorSplit)
    return split


def test_the_class_is_the_first_of_independent_symbols():
    data = recall(length=10, num_symbols=4, num_sequences=4000)
    split = tensors(data.train)
    assert split.inputs.shape[1:] == data.spec.input_shape == (10, 4)
    assert torch.equal(split.inputs.sum(dim=2), torch.ones(len(split), 10))
    symbols = split.inputs.argmax(dim=2)
    assert torch.equal(symbols[:, 0], split.targets)
    agreement = (symbols[:, 1:] == split.targets[:, None]).double().mean(dim=0)
    assert (agreement - 0.25).abs().max() < 0.04


def test_a_seed_makes_the_same_sequences_and_more_of_them_begin_with_these():
    first, again, other = (recall(seed=seed).train.fingerprint() for seed in (1, 1, 2))
    assert first == again != other
    few, more = (recall(num_sequences=count, length=5) for count in (100, 200))
    by_row = [
        {int(row): inputs for part in (data.train, data.val, data.test) for row, inputs in zip(
            tensors(part).rows, tensors(part).inputs, strict=True)}
        for data in (few, more)
    ]  # fmt: skip
    assert all(torch.equal(by_row[1][row], inputs) for row, inputs in by_row[0].items())


def test_equal_sequences_stay_in_one_part():
    data = recall(length=3, num_symbols=2, num_sequences=400, splitting=SplitSettings(val_fraction=0.2))
    parts = [{row.numpy().tobytes() for row in tensors(part).inputs} for part in (data.train, data.val, data.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_a_trained_model_predicts_new_sequences(folder: Path):
    result = train("dataset=recall", "dataset.length=4", "dataset.num_symbols=3", "dataset.num_sequences=600",
                   "model=attention", "optimizer.lr=0.01", "train.epochs=4")  # fmt: skip
    assert result.summary["test"]["accuracy"] > 0.95
    symbols = np.array([[2, 0, 1, 1], [0, 2, 1, 0]])
    predicted = ptrun.load(str(result.run_dir)).predict(np.eye(3)[symbols])
    assert [prediction.label for prediction in predicted] == ["2", "0"]
