"""The parts of a graphed step that need no CUDA device; tests/gpu/test_cuda_graph.py tests the whole on one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ptrun.engine.capture.cuda_graph import GraphProgram, RefuseUncapturable, own_memory, relative_distance
from ptrun.engine.capture.recorder import ReadsValuesError


class Replayable:
    """Stands in for a CUDA graph: `replay` computes from the static inputs into the static results."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(torch.ones(3))
        self.inputs, self.targets, self.share = torch.zeros(3), torch.zeros(3), torch.ones(())
        self.loss, self.gradient = torch.zeros(()), torch.zeros(3)
        self.program = GraphProgram(
            self,  # type: ignore[arg-type]  # a CUDAGraph, of which only `replay` is called
            [self.inputs, self.targets, self.share],
            self.loss,
            [self.gradient],
            [self.weight],
        )

    def replay(self) -> None:
        self.loss.copy_((self.inputs - self.targets).sum())
        self.gradient.copy_(self.inputs * self.share)


def run(graph: Replayable, value: float, share: Tensor) -> Tensor:
    """One batch of a step, as `CapturedStep` runs it. Returns the loss."""
    loss, gradient = graph.program(torch.full((3,), value), torch.zeros(3), share)
    weight = graph.weight
    weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
    return loss


def test_gradients_of_the_batches_of_a_step_add_up_and_losses_stay():
    graph, half = Replayable(), torch.tensor(0.5)
    with torch.no_grad():
        losses = [run(graph, value, half) for value in (1.0, 2.0, 4.0)]
    assert graph.weight.grad is not None
    assert graph.weight.grad.tolist() == [3.5] * 3
    assert [loss.item() for loss in losses] == [3.0, 6.0, 12.0]


def test_each_batch_has_its_share():
    graph = Replayable()
    with torch.no_grad():
        for share in (0.5, 0.25, 0.25):
            graph.weight.grad = None
            run(graph, 1.0, torch.tensor(share))
            assert graph.gradient.tolist() == [share] * 3


def test_a_replay_that_computes_nothing_leaves_results_that_equal_nothing():
    graph = Replayable()
    graph.program.invalidate_results()
    assert math.isnan(relative_distance([graph.loss, graph.gradient], [torch.zeros(()), torch.ones(3)]))


def test_the_distance_is_relative_and_zero_for_equal_bits():
    expected = [torch.tensor([3.0]), torch.tensor([[4.0]])]
    assert relative_distance(expected, [tensor.clone() for tensor in expected]) == 0.0
    assert relative_distance([torch.tensor([3.5]), torch.tensor([[4.0]])], expected) == pytest.approx(0.1)
    assert relative_distance([torch.ones(1)], [torch.zeros(1)]) == math.inf


def test_gradients_share_memory_with_nothing_and_lie_in_it_as_their_parameters():
    weight, bias, inputs = torch.randn(4, 3), torch.randn(3), torch.randn(3)
    shared, transposed = torch.randn(3), torch.randn(3, 4).t()
    own = own_memory([transposed, shared, shared, inputs], [weight, bias, bias, bias], [inputs])
    assert [gradient.stride() for gradient in own] == [(3, 1), (1,), (1,), (1,)]
    assert len({gradient.data_ptr() for gradient in own} | {inputs.data_ptr()}) == 5
    assert own[1] is shared, "the first of two needs no copy"
    assert all(map(torch.equal, own, [transposed, shared, shared, inputs]))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x + torch.ones(()), "works on the CPU as well"),
        (lambda x: torch.rand(3).shape, "works on the CPU as well"),
        (lambda x: x[x > 0], "looks at the values of a tensor"),
    ],
)
def test_what_a_graph_can_not_hold_is_refused(function, reason: str):
    with RefuseUncapturable(), pytest.raises(ReadsValuesError, match=reason):
        function(torch.empty(3, device="meta"))


def test_operations_of_another_device_alone_are_allowed():
    with RefuseUncapturable():
        x = torch.rand(3, 4, device="meta")
        assert (x[:, torch.empty(2, dtype=torch.long, device="meta")] @ torch.rand(2, 5, device="meta")).shape == (3, 5)
