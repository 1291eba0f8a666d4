"""The forward and backward pass of a step, recorded once for each shape of batch and replayed without autograd.

Invariant: a recording is used only after it gave the loss, the gradients and the buffers of autograd bit for bit on
a batch; it holds the very operations that autograd ran, so nothing is compiled and nothing is rounded otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.replay import compile_graph
from ptrun.runtime import Runtime, random_state, restore_random_state

Program = Callable[..., list[Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


class _NotRecordable(Exception):
    """The step depends on more than shapes; the text says how that showed."""


class RecordedStep:
    """Computes loss and gradients of a batch; a small network spends two thirds of that time on autograd's bookkeeping.

    Python code of the model runs only while recording: a branch that looks at the values of a tensor is refused there,
    but one that counts calls, say, would not be noticed.
    """

    def __init__(self, model: nn.Module, loss: Loss, runtime: Runtime) -> None:
        self._model, self._loss, self._runtime = model, loss, runtime
        self._recordings: dict[tuple[Any, ...], Callable[..., Program]] = {}
        self._programs: dict[tuple[Any, ...], Program] = {}
        self._shares: dict[float, Tensor] = {}
        self.refused = ""  # why a step could not be recorded, if one could not
        self.start_epoch()

    def start_epoch(self) -> None:
        """Look at the model again: parameters may have been frozen or freed, and `start_epoch` of a model may change anything."""
        trained = [p for p in self._model.parameters() if p.requires_grad]
        before = getattr(self, "_trained", [])
        same = len(trained) == len(before) and all(a is b for a, b in zip(trained, before, strict=True))
        if not same or hasattr(self._model, "start_epoch"):
            self._recordings.clear()
        self._trained = trained
        self._state = [*self._model.parameters(), *self._model.buffers()]
        self._programs = {key: bind(*self._state) for key, bind in self._recordings.items()}

    def __call__(self, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return the mean loss of a batch, and add the gradient of `share` times it; to be called under `no_grad`."""
        key = (inputs.shape, targets.shape)
        program = self._programs.get(key)
        if program is None:
            self._recordings[key] = self._record_or_refuse(inputs, targets)
            program = self._programs[key] = self._recordings[key](*self._state)
        at = self._shares[share] if share in self._shares else self._share(share)
        loss, *gradients = program(inputs, targets, at)
        for parameter, gradient in zip(self._trained, gradients, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        return loss

    def try_out(self, inputs: Tensor, targets: Tensor) -> None:
        """Record for a shape of batch without leaving a trace; `refused` says whether that failed."""
        with self._undone(), torch.no_grad():
            self(inputs, targets, 1.0)
        for parameter in self._trained:
            parameter.grad = None

    def _record_or_refuse(self, inputs: Tensor, targets: Tensor) -> Callable[..., Program]:
        try:
            return self._record(inputs, targets)
        except _NotRecordable as reason:
            self.refused = str(reason)
            return lambda *state: self._by_autograd

    def _share(self, share: float) -> Tensor:
        self._shares[share] = torch.tensor(share, device=self._runtime.device)
        return self._shares[share]

    def _record(self, inputs: Tensor, targets: Tensor) -> Callable[..., Program]:
        batch = (inputs, targets, self._share(1.0))
        with self._undone():
            expected = self._by_autograd(*batch)
            expected += [b.clone() for b in self._model.buffers()]
        try:
            with self._undone():
                graph = _trace(self._flat, [*self._state, *batch])
        except Exception as error:
            raise _NotRecordable(str(error).strip().splitlines()[0] if str(error) else type(error).__name__) from error
        for fast in (True, False):
            recording = compile_graph(graph, len(self._state), fast=fast)
            with self._undone(), contextlib.suppress(TypeError, RuntimeError), torch.no_grad():
                found = [*recording(*self._state)(*batch), *self._model.buffers()]
                if _equal(found, expected):
                    return recording
        raise _NotRecordable("the recorded operations gave another result than the model itself")

    def _flat(self, *values: Tensor) -> list[Tensor]:
        """The step as a function of all that it reads: parameters, buffers, inputs, targets, share."""
        names = [name for name, _ in (*self._model.named_parameters(), *self._model.named_buffers())]
        given = dict(zip(names, values, strict=False))
        inputs, targets, share = values[len(names) :]
        with torch.enable_grad(), self._runtime.autocast():
            outputs = torch.func.functional_call(self._model, given, (inputs,))
            loss = self._loss(outputs, targets)
        trained = [given[name] for name, p in self._model.named_parameters() if p.requires_grad]
        return [loss.detach(), *torch.autograd.grad(loss, trained, share)]

    def _by_autograd(self, inputs: Tensor, targets: Tensor, share: Tensor) -> list[Tensor]:
        with torch.enable_grad(), self._runtime.autocast():
            loss = self._loss(self._model(inputs), targets)
        return [loss.detach(), *torch.autograd.grad(loss, self._trained, share)]

    @contextlib.contextmanager
    def _undone(self) -> Iterator[None]:
        """Whatever happens inside leaves no trace in buffers and random generators."""
        random = random_state()
        buffers = [(buffer, buffer.clone()) for buffer in self._model.buffers()]
        try:
            yield
        finally:
            restore_random_state(random)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def record_step(
    runtime: Runtime, model: nn.Module, loss: Loss, targets: Tensor, input_shape: Sequence[int]
) -> tuple[RecordedStep | None, list[tuple[str, str, str]]]:
    """The recorded step of device.compile=step, tried out on a batch of random inputs, and what to say when that failed."""
    if runtime.compile != "step":
        return None, []
    model.train()
    recorded = RecordedStep(model, loss, runtime)
    inputs = torch.randn(len(targets), *input_shape, generator=torch.Generator().manual_seed(0))
    recorded.try_out(runtime.arrange(inputs.to(runtime.device)), targets.to(runtime.device))
    if not recorded.refused:
        return recorded, []
    return None, [("device.compile", "step", f"none, because the step can't be recorded: {recorded.refused}")]


def _equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return len(found) == len(expected) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(found, expected, strict=True)
    )


def _trace(function: Callable[..., list[Tensor]], values: Sequence[Tensor]) -> Any:
    """The operations that a function runs, as a torch.fx graph (docs.pytorch.org/docs/stable/fx.html)."""
    from torch.fx.experimental.proxy_tensor import make_fx

    module = make_fx(function)(*values)
    aten = torch.ops.aten
    for node in list(module.graph.nodes):
        if node.target in (aten.alias.default, aten.detach.default):
            node.replace_all_uses_with(node.args[0])
    for node in list(module.graph.nodes):
        if _is_transposition(node) and _is_transposition(node.args[0]):
            node.replace_all_uses_with(node.args[0].args[0])
    for node in reversed(list(module.graph.nodes)):
        if not node.users and (_is_transposition(node) or node.target in (aten.alias.default, aten.detach.default)):
            module.graph.erase_node(node)
    return module


def _is_transposition(node: Any) -> bool:
    return bool(node.target is torch.ops.aten.t.default)
