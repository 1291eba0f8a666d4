"""The forward and backward pass of a step, recorded once for each shape of batch and replayed without autograd.

Invariant: a recording is used only after it gave the loss, the gradients and the buffers of autograd bit for bit on
a batch; it holds the very operations that autograd ran, so nothing is compiled and nothing is rounded otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ptrun.device.random_state import random_state, restore_random_state
from ptrun.device.runtime import Runtime
from ptrun.engine.capture.recorder import Recorder
from ptrun.engine.capture.replay import compile_graph
from ptrun.losses.shapes import Loss

Program = Callable[..., list[Tensor]]
_KNOWN = ("ptrun", "torch", "torchvision")


class _NotRecordable(Exception):
    """The step depends on more than shapes; the text says how that showed."""


class CapturedStep:
    """Computes loss and gradients of a batch; a small network spends two thirds of that time on autograd's bookkeeping.

    Python code of the model runs only while recording: a branch that looks at the values of a tensor is refused there,
    but one that counts calls, say, would not be noticed.
    """

    def __init__(self, model: nn.Module, loss: Loss, runtime: Runtime) -> None:
        self._model, self._loss, self._runtime = model, loss, runtime
        self._recordings: dict[tuple[torch.Size, torch.Size], Callable[..., Program]] = {}
        self._programs: dict[tuple[torch.Size, torch.Size], Program] = {}
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

    @contextlib.contextmanager
    def epoch(self) -> Iterator[None]:
        """Around the batches of an epoch: the program computes gradients itself, so autograd is off."""
        self.start_epoch()
        with torch.no_grad():
            yield

    @property
    def shapes(self) -> list[tuple[torch.Size, torch.Size]]:
        """Of the batches recorded so far: inputs, targets."""
        return list(self._programs)

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
        recorder = Recorder([*self._state, *batch])
        try:
            with self._undone(), recorder:
                results = self._by_autograd(*batch)
        except Exception as error:
            raise _NotRecordable(str(error).strip().splitlines()[0] if str(error) else type(error).__name__) from error
        if _share_memory(results, [*self._state, *batch]):
            raise _NotRecordable("its gradients share memory")  # what changes one in place would change another
        names = [recorder.name(each) for each in results]
        for fast in (True, False):
            recording = compile_graph(recorder, names, len(self._state), fast=fast)
            with self._undone(), contextlib.suppress(TypeError, RuntimeError), torch.no_grad():
                found = [*recording(*self._state)(*batch), *self._model.buffers()]
                if _equal(found, expected):
                    return recording
        raise _NotRecordable("the recorded operations gave another result than the model itself")

    def _by_autograd(self, inputs: Tensor, targets: Tensor, share: Tensor) -> list[Tensor]:
        with torch.enable_grad(), self._runtime.autocast():
            loss = self._loss(self._model(inputs), targets)
        return [loss.detach(), *_gradients(loss, self._trained, share)]

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


def capture_step(
    runtime: Runtime,
    model: nn.Module,
    loss: Loss,
    targets: Tensor,
    input_shape: Sequence[int],
    sizes: Collection[int],
    *,
    asked: str,
) -> tuple[CapturedStep | None, list[tuple[str, str, str]]]:
    """The recorded step, tried out on random inputs for each size of batch, and what to say when that failed.

    asked: the setting of device.compile that led here; `auto` records only parts whose code is known not to count its calls.
    """
    if runtime.compile != "step":
        return None, []
    why = _hooked(model) or (_foreign(model, loss) if asked == "auto" else "")
    if not why:
        model.train()
        recorded = CapturedStep(model, loss, runtime)
        generator = torch.Generator().manual_seed(0)
        for size in sorted(set(sizes), reverse=True):
            inputs = torch.randn(size, *input_shape, generator=generator).to(runtime.device)
            recorded.try_out(runtime.arrange(inputs), targets[:size].to(runtime.device))
        why = recorded.refused
    if not why:
        return recorded, [("device.compile", "auto", "step")] if asked == "auto" else []
    return None, [("device.compile", asked, f"none, because the step can't be recorded: {why}")]


def _hooked(model: nn.Module) -> str:
    """Why a recording would leave out what somebody asked torch to call; "" when nobody did."""
    everywhere = getattr(torch.nn.modules.module, "_has_any_global_hook", lambda: False)
    own = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooked = any(getattr(module, name, None) for module in model.modules() for name in own)
    return "it would not call the hooks of the modules" if everywhere() or hooked else ""


def _foreign(model: nn.Module, loss: Loss) -> str:
    """Which part is neither shipped here nor with torch, whose Python code could do something else at each call; "" for none."""
    while isinstance(loss, partial):
        loss = loss.args[0] if loss.args else loss.func
    parts = [type(each) for each in model.modules()]
    parts.append(type(loss) if isinstance(loss, nn.Module) else loss)  # type: ignore[arg-type]
    for part in parts:
        if part.__module__.partition(".")[0] not in _KNOWN:
            return f"'{part.__qualname__}' may do something else at each call (device.compile=step records it all the same)"
    return ""


def _gradients(loss: Tensor, parameters: Sequence[Tensor], share: Tensor) -> Sequence[Tensor]:
    """`torch.autograd.grad`, which in older versions imports sympy, a second, to compare the shapes of loss and share."""
    engine = getattr(torch.autograd.Variable, "_execution_engine", None)
    if engine is None:
        return torch.autograd.grad(loss, parameters, share)
    found: tuple[Tensor, ...] = engine.run_backward(
        (loss,), (share,), False, False, tuple(parameters), allow_unreachable=False, accumulate_grad=False
    )
    return found


def _share_memory(results: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    own, foreign = ([each.untyped_storage()._cdata for each in tensors] for tensors in (results, others))
    return len(set(own)) < len(own) or not set(own).isdisjoint(foreign)


def _equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return len(found) == len(expected) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(found, expected, strict=True)
    )
