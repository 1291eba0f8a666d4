"""Shapes that torch would broadcast are refused, with both shapes in the message."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ptrun.errors import DataError
from ptrun.losses.shapes import check_classes, check_numbers


def test_equal_shapes_of_numbers_pass():
    check_numbers(torch.zeros(4, 2), torch.zeros(4, 2))


@pytest.mark.parametrize("targets", [torch.zeros(4), torch.zeros(1, 2), torch.zeros(4, 1), torch.zeros(2, 4)])
def test_other_shapes_of_numbers_are_refused(targets: Tensor):
    with pytest.raises(
        DataError, match=r"outputs have shape \[4, 2\] and the targets .*; a loss for numbers needs equal"
    ):
        check_numbers(torch.zeros(4, 2), targets)


@pytest.mark.parametrize(
    "targets", [torch.zeros(4).long(), torch.full((4, 3), 1 / 3)], ids=["classes", "probabilities"]
)
def test_classes_and_probabilities_are_targets(targets: Tensor):
    check_classes(torch.zeros(4, 3), targets)


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (torch.zeros(4, 3), torch.zeros(3).long()),
        (torch.zeros(4, 3), torch.zeros(4, 3).long()),
        (torch.zeros(4, 3), torch.full((4, 2), 0.5)),
        (torch.zeros(4), torch.zeros(4).long()),
    ],
    ids=["other batch", "whole numbers", "other classes", "no class dimension"],
)
def test_other_shapes_of_classes_are_refused(outputs: Tensor, targets: Tensor):
    with pytest.raises(DataError, match=r"a loss for classes needs outputs \[batch, classes\] and targets \[batch\]"):
        check_classes(outputs, targets)
