"""Targets are checked before training: their type, their range, and that no part is empty."""

from __future__ import annotations

import pytest
import torch

from ptrun.data.dataset import Data, check_targets
from ptrun.data.splits import TensorSplit
from ptrun.errors import DataError
from ptrun.spec import DataSpec, Layout, Task

CLASSES = DataSpec(
    layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(1,), num_outputs=2, class_names=("a", "b")
)
NUMBERS = DataSpec(layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(1,), num_outputs=2)


def split(targets: torch.Tensor) -> TensorSplit:
    return TensorSplit(torch.zeros(len(targets), 1), targets, torch.arange(len(targets)) + 10)


def data(spec: DataSpec, val: torch.Tensor, right: torch.Tensor) -> Data:
    return Data(spec=spec, train=split(right), val=split(val), test=split(right))


@pytest.mark.parametrize(
    ("val", "message"),
    [
        (torch.tensor([0, 1, 2]), r"row 12 of the val split has the target 2; expected a whole number from 0 to 1"),
        (torch.tensor([0, -1]), r"row 11 of the val split has the target -1"),
        (torch.tensor([0.0, 1.0]), r"the targets of the val split are float32 \[2\]; expected int64 \[N\]"),
        (torch.tensor([[0], [1]]), r"int64 \[2, 1\]; expected int64 \[N\]"),
        (torch.tensor([], dtype=torch.int64), "the val split is empty"),
    ],
)
def test_wrong_classes_are_named(val: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_targets(data(CLASSES, val, torch.tensor([0, 1])), may_be_empty=False)


@pytest.mark.parametrize(
    ("val", "message"),
    [
        (torch.tensor([[0.0, 1.0], [float("inf"), 2.0]]), r"row 11 .* target \[inf, 2\.0\]; expected a finite number"),
        (torch.tensor([[0.0], [1.0]]), r"float32 \[2, 1\]; expected float32 \[N, 2\]"),
        (torch.tensor([[0, 1]]), r"int64 \[1, 2\]; expected float32 \[N, 2\]"),
    ],
)
def test_wrong_numbers_are_named(val: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_targets(data(NUMBERS, val, torch.zeros(3, 2)), may_be_empty=False)


def test_a_bad_target_behind_the_first_chunk_is_named() -> None:
    val = torch.zeros(3000, dtype=torch.int64)
    val[2500] = 7
    with pytest.raises(DataError, match="row 2510 of the val split has the target 7"):
        check_targets(data(CLASSES, val, torch.tensor([0, 1])), may_be_empty=False)


def test_right_targets_pass_and_evaluation_allows_empty_parts() -> None:
    check_targets(data(CLASSES, torch.tensor([1]), torch.tensor([0, 1])), may_be_empty=False)
    check_targets(data(CLASSES, torch.tensor([], dtype=torch.int64), torch.tensor([0, 1])), may_be_empty=True)
    check_targets(data(NUMBERS, torch.zeros(1, 2), torch.zeros(3, 2)), may_be_empty=False)
