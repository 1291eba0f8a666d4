"""The data sets of scikit-learn: their parts, seeds and scales."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from ptrun.data.dataset import Data
from ptrun.data.datasets.scikit_learn import breast_cancer, diabetes, digits, iris, preload, wine
from ptrun.data.split_settings import SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.spec import Layout, Task

ALL = [digits, iris, wine, breast_cancer, diabetes]


def inputs(data: Data, part: str) -> torch.Tensor:
    split = getattr(data, part)
    assert isinstance(split, TensorSplit)
    return split.inputs


@pytest.mark.parametrize(("dataset", "count"), list(zip(ALL, [1797, 150, 178, 569, 442], strict=True)))
def test_parts_are_disjoint_and_complete(dataset: Callable[..., Data], count: int) -> None:
    data = dataset()
    rows = torch.cat([data.train.rows, data.val.rows, data.test.rows])  # type: ignore[attr-defined]
    assert sorted(rows.tolist()) == list(range(count))
    assert sum(data.record["sizes"].values()) == count
    assert inputs(data, "train").shape[1:] == data.spec.input_shape


@pytest.mark.parametrize("dataset", ALL)
def test_same_seed_same_data(dataset: Callable[..., Data]) -> None:
    first, again, other = dataset(), dataset(), dataset(splitting=SplitSettings(seed=1))
    assert first.train.fingerprint() == again.train.fingerprint() != other.train.fingerprint()
    assert first.record == again.record


@pytest.mark.parametrize("dataset", ALL)
def test_a_process_reads_the_files_once_and_no_run_changes_what_the_next_one_gets(dataset: Callable[..., Data]) -> None:
    preload(dataset.__name__)
    opened: list[str] = []
    watches = [True]
    sys.addaudithook(lambda event, values: opened.append(str(values[0])) if watches and event == "open" else None)
    first = dataset()
    before = {name: getattr(first, name).fingerprint() for name in ("train", "val", "test")}
    for name in before:
        getattr(first, name).inputs.zero_()
        getattr(first, name).targets.zero_()
    again = dataset()
    watches.clear()
    assert [path for path in opened if path.endswith((".csv", ".gz"))] == []
    assert {name: getattr(again, name).fingerprint() for name in before} == before


def test_what_is_not_of_scikit_learn_is_left_to_its_own_reader() -> None:
    preload("table")


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    data, bunch = digits(), load_digits()
    train = data.train
    assert isinstance(train, TensorSplit)
    expected = np.rint(bunch.images[train.rows] * 255 / 16).astype(np.uint8)[:, None]
    assert train.inputs.dtype == torch.uint8
    assert np.array_equal(train.inputs.numpy(), expected)
    assert np.array_equal(train.targets.numpy(), bunch.target[train.rows])
    assert int(train.inputs.max()) == 255
    assert data.spec.layout is Layout.IMAGE
    assert data.spec.class_names == tuple("0123456789")


@pytest.mark.parametrize("dataset", [iris, wine, breast_cancer, diabetes])
def test_scores_use_training_statistics(dataset: Callable[..., Data]) -> None:
    data = dataset()
    train = inputs(data, "train").double()
    assert torch.allclose(train.mean(0), torch.zeros(train.shape[1], dtype=torch.float64), atol=1e-5)
    assert torch.allclose(train.std(0, unbiased=False), torch.ones(train.shape[1], dtype=torch.float64), atol=1e-5)
    assert not torch.allclose(inputs(data, "test").mean(0), torch.zeros(train.shape[1]), atol=1e-3)


def test_diabetes_targets_return_to_their_units() -> None:
    data = diabetes()
    assert data.spec.task is Task.REGRESSION
    mean, std = data.spec.target_mean[0], data.spec.target_std[0]
    values = torch.cat([data.train.targets, data.val.targets, data.test.targets]) * std + mean
    assert values.shape == (442, 1)
    assert (values.min().item(), values.max().item()) == pytest.approx((25, 346), abs=1e-3)


def test_fitted_scaler_is_reused() -> None:
    data = wine()
    again = wine(splitting=SplitSettings(seed=5, test_fraction=1.0, evaluating=True), fitted=data.fitted)
    rows = data.train.rows  # type: ignore[attr-defined]
    assert torch.equal(inputs(again, "test")[rows], inputs(data, "train"))
    assert again.fitted == data.fitted
