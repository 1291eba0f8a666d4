from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ptrun.engine.capture.recorder import OpRecorder
from ptrun.engine.capture.replay import Program, compile_graph


def replayable(function, *inputs: torch.Tensor, num_bound: int = 0, fast: bool = True) -> Program:
    """The recorded function, with the first inputs bound."""
    recorder = OpRecorder(inputs)
    with recorder:
        results = function(*inputs)
    names = [recorder.name(result) for result in results]
    return compile_graph(recorder, names, num_bound, fast=fast)(*inputs[:num_bound])


@pytest.mark.parametrize("fast", [True, False])
def test_a_replay_equals_the_function_on_new_inputs(fast: bool):
    def function(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        values, indices = x.max(1)
        return [F.layer_norm(x, (4,)), values * 0.1 + y, indices, F.gelu(x).clamp(max=float("inf"))]

    replay = replayable(function, torch.randn(3, 4), torch.randn(3), fast=fast)
    x, y = torch.randn(3, 4), torch.randn(3)
    assert all(map(torch.equal, replay(x, y), function(x, y)))


def test_changes_in_place_are_seen_through_every_view():
    def function(x: torch.Tensor) -> list[torch.Tensor]:
        y = x + 1
        y.view(-1)[:2].mul_(10)
        return [y, y.sum()]

    x = torch.arange(6.0).view(2, 3)
    assert all(map(torch.equal, replayable(function, x)(x), function(x)))


def test_views_of_bound_inputs_are_made_once_and_follow_changes_in_place():
    weight, x = torch.randn(4, 3), torch.randn(2, 3)
    replay = replayable(lambda weight, x: [x @ weight.t()], weight, x, num_bound=1)
    weight.mul_(2)  # as an optimizer does
    recorder = OpRecorder([])
    with recorder:
        [result] = replay(x)
    assert [str(operation.target) for operation in recorder.operations] == ["aten.mm.default"]
    assert torch.equal(result, x @ weight.t())


def test_a_function_can_be_bound_to_other_parameters():
    weight, other, x = torch.randn(4, 3), torch.randn(4, 3), torch.randn(2, 3)
    recorder = OpRecorder([weight, x])
    with recorder:
        result = x @ weight.t()
    bind = compile_graph(recorder, [recorder.name(result)], 1, fast=True)
    assert torch.equal(bind(other)(x)[0], x @ other.t())


def test_a_tensor_from_elsewhere_is_read_at_each_step():
    outside, x = torch.ones(3), torch.zeros(3)
    replay = replayable(lambda x: [x + outside], x)
    outside.fill_(5)
    assert replay(x)[0].tolist() == [5.0, 5.0, 5.0]


def test_views_that_nobody_uses_are_left_out():
    x = torch.randn(2, 3)

    def function(x: torch.Tensor) -> list[torch.Tensor]:
        x.view(3, 2)
        return [x * 2]

    replay = replayable(function, x)
    recorder = OpRecorder([])
    with recorder:
        replay(x)
    assert [str(operation.target) for operation in recorder.operations] == ["aten.mul.Tensor"]


def test_a_bound_input_may_be_a_result_and_an_input_may_be_given_twice():
    x = torch.randn(3)
    assert all(map(torch.equal, replayable(lambda a, b: [a, a + b], x, x, num_bound=1)(x), [x, x + x]))
