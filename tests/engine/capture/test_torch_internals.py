"""Each private part of torch is there in this version, and the fallback works where it is not."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import fx, nn

from ptrun.engine.capture.torch_internals import (
    end_allocation_to_pool,
    fast_binding,
    gradients,
    has_hooks,
    is_view,
    unwrap_bindings,
)

aten = torch.ops.aten


def test_gradients_come_from_the_engine_and_without_it_from_autograd(monkeypatch: pytest.MonkeyPatch):
    weight = torch.tensor([2.0, 3.0], requires_grad=True)
    assert hasattr(torch.autograd.Variable, "_execution_engine")
    by_engine = gradients(weight.square().sum(), [weight], torch.tensor(0.5))
    monkeypatch.setattr(torch.autograd, "Variable", object())
    by_autograd = gradients(weight.square().sum(), [weight], torch.tensor(0.5))
    assert [g.tolist() for g in by_engine] == [g.tolist() for g in by_autograd] == [[2.0, 3.0]]


def test_views_are_distinguished_from_operations_that_compute_or_write():
    assert is_view(aten.t.default)
    assert is_view(aten.view.default)
    assert not is_view(aten.add.Tensor)
    assert not is_view(aten.add_.Tensor)
    assert not is_view(object()), "without a schema nothing is known, so nothing is left out"


@pytest.mark.parametrize(
    ("operation", "binding"),
    [
        (aten.mm.default, torch.mm),
        (aten.view.default, torch.Tensor.view),
        (aten.gelu.default, torch._C._nn.gelu),
    ],
)
def test_the_fast_binding_is_a_c_function_of_torch(operation, binding):
    assert fast_binding(operation).func is binding


def test_code_of_fx_calls_the_bindings_themselves():
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(fast_binding(aten.mm.default), (x, x)))
    forward = fx.GraphModule({}, graph).forward
    unwrap_bindings(forward)
    assert torch.mm in forward.__globals__.values()
    assert not [value for value in forward.__globals__.values() if isinstance(value, partial)]
    matrix = torch.randn(3, 3)
    assert torch.equal(forward(matrix), matrix @ matrix)
    unwrap_bindings(torch.mm)  # has no globals, which is no error


def test_where_torch_has_a_python_function_the_general_entry_is_called():
    x = torch.randn(3, 4)
    binding = fast_binding(aten.norm.Scalar)  # torch.norm is written in Python
    assert binding is not torch.norm
    assert binding.__name__ == "norm"
    assert torch.equal(binding(x, 2), aten.norm.Scalar(x, 2))


def test_without_any_binding_the_operator_itself_is_called():
    class Operator:
        pass

    operator = Operator()
    assert fast_binding(operator) is operator


def test_without_the_namespace_of_nn_the_general_entry_is_called(monkeypatch: pytest.MonkeyPatch):
    x, gelu = torch.randn(3), torch._C._nn.gelu
    monkeypatch.delattr(torch._C, "_nn")
    binding = fast_binding(aten.gelu.default)
    assert binding is not gelu
    assert torch.equal(binding(x), aten.gelu.default(x))


def test_hooks_of_a_module_and_of_all_modules_are_found(monkeypatch: pytest.MonkeyPatch):
    model = nn.Sequential(nn.Linear(2, 2))
    assert not has_hooks(model.modules())
    for register in (model[0].register_forward_hook, nn.modules.module.register_module_forward_pre_hook):
        hook = register(lambda *_: None)
        assert has_hooks(model.modules())
        hook.remove()
    assert not has_hooks(model.modules())
    monkeypatch.delattr(nn.modules.module, "_has_any_global_hook")
    assert has_hooks(model.modules()), "unknown: there could be some"


def test_a_torch_that_can_not_end_an_allocation_to_a_pool_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(torch._C, "_cuda_endAllocateToPool", raising=False)
    end_allocation_to_pool(0, (0, 1))


def test_an_allocation_to_a_pool_that_has_ended_is_no_error(monkeypatch: pytest.MonkeyPatch):
    ended: list[tuple[object, ...]] = []

    def end(*arguments: object) -> None:
        ended.append(arguments)
        raise RuntimeError("no such pool")

    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end, raising=False)
    end_allocation_to_pool(0, (0, 1))
    assert ended == [(0, (0, 1))]
