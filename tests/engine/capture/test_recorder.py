from __future__ import annotations

import pytest
import torch

from ptrun.engine.capture.recorder import Name, OpRecorder, ReadsValuesError, names_in


def recorded(function, *inputs: torch.Tensor) -> OpRecorder:
    recorder = OpRecorder(inputs)
    with recorder:
        function(*inputs)
    return recorder


def targets(recorder: OpRecorder) -> list[str]:
    return [str(operation.target) for operation in recorder.operations]


def test_the_backward_pass_is_recorded_below_autograd():
    def function(x: torch.Tensor) -> None:
        weight = x.detach().requires_grad_()
        torch.autograd.grad((weight * weight).sum(), weight)

    assert "aten.sum.default" in targets(recorded(function, torch.randn(3)))
    assert targets(recorded(function, torch.randn(3))).count("aten.mul.Tensor") == 3  # forward, and both factors


def test_operations_that_only_rename_memory_are_left_out():
    assert targets(recorded(lambda x: x.t().t().detach() * 2, torch.randn(3, 4))) == [
        "aten.t.default",
        "aten.mul.Tensor",
    ]


def test_what_is_changed_in_place_keeps_its_name():
    recorder = recorded(lambda x: x.add_(1).mul_(2), torch.ones(3))
    assert [operation.used_names for operation in recorder.operations] == [{recorder.inputs[0]}] * 2
    assert [operation.new_names for operation in recorder.operations] == [[], []]


def test_tensors_from_elsewhere_are_constants():
    outside = torch.ones(3)
    recorder = recorded(lambda x: x + outside, torch.zeros(3))
    [tensor] = recorder.constants.values()
    assert tensor is outside


def test_memory_that_was_freed_is_not_mistaken_for_another_tensor():
    recorder = recorded(lambda x: [(x + number).sum() for number in range(20)], torch.ones(1000))
    names = [name for operation in recorder.operations for name in operation.new_names]
    assert len(set(names)) == len(names) == 40


@pytest.mark.parametrize("function", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: bool(x[0])])
def test_looking_at_values_is_refused(function):
    with OpRecorder([torch.randn(4)]), pytest.raises(ReadsValuesError, match="looks at the values of a tensor"):
        function(torch.randn(4))


def test_indexing_by_whole_numbers_looks_at_no_value():
    rows = torch.tensor([2, 0])
    assert "aten.index.Tensor" in targets(recorded(lambda x: x[:, rows], torch.randn(2, 3)))


def test_names_are_found_in_nested_arguments():
    a, b, c = Name("a"), Name("b"), Name("c")
    assert names_in([1, (a, [b]), {"key": c, "other": None}]) == {a, b, c}
