"""The forward and backward pass of a step, recorded once for each shape of batch and replayed without autograd.

A recording is used only after it gave the loss, the gradients and the buffers of autograd bit for bit on a batch. It
holds the operations that autograd ran: nothing is compiled, fused or reordered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ptrun.device.runtime import Runtime
from ptrun.engine.capture.recorder import OpRecorder
from ptrun.engine.capture.replay import Program, compile_graph
from ptrun.engine.capture.torch_internals import gradients, has_hooks
from ptrun.engine.undo import undone
from ptrun.errors import first_line
from ptrun.losses.shapes import Loss

Shapes = tuple[torch.Size, torch.Size]  # of inputs and targets
Recording = Callable[..., Program]  # given parameters and buffers it returns the program of a step
_TRUSTED = ("ptrun", "torch", "torchvision")  # packages whose modules compute the same at each call


class NotRecordableError(Exception):
    """The step depends on more than shapes; the message says what showed that."""


class CapturedStep:
    """Computes loss and gradients of a batch without autograd, whose bookkeeping is half of a small step or more.

    Python code of the model runs only while recording. A branch on the values of a tensor is refused there, but code
    that counts its calls, for example, would not be noticed.
    refused: why a step could not be recorded, or "".
    """

    def __init__(self, model: nn.Module, loss: Loss, runtime: Runtime) -> None:
        self._model, self._loss, self._runtime = model, loss, runtime
        self._recordings: dict[Shapes, Recording] = {}
        self._programs: dict[Shapes, Program] = {}
        self._shares: dict[float, Tensor] = {}
        self._trained: list[nn.Parameter] = []
        self.refused = ""
        self.start_epoch()

    def start_epoch(self) -> None:
        """Bind the recordings to the parameters and buffers that the model has now.

        Recordings are dropped where they may be outdated: parameters were frozen or unfrozen, or the model has a
        `start_epoch`, which may change anything.
        """
        trained = [p for p in self._model.parameters() if p.requires_grad]
        may_differ = self._may_differ()
        if may_differ or list(map(id, trained)) != list(map(id, self._trained)):
            self._recordings.clear()
        self._trained = trained
        self._state = [*self._model.parameters(), *self._model.buffers()]
        self._programs = {shapes: bind(*self._state) for shapes, bind in self._recordings.items()}

    def _may_differ(self) -> bool:
        """Whether code of the model may have changed what it computes since the epoch before."""
        return hasattr(self._model, "start_epoch")

    @contextlib.contextmanager
    def epoch(self) -> Iterator[None]:
        """Around the batches of an epoch: the program computes gradients itself, so autograd is off."""
        self.start_epoch()
        with torch.no_grad():
            yield

    @property
    def shapes(self) -> list[Shapes]:
        """The shapes of inputs and targets that were recorded."""
        return list(self._programs)

    def __call__(self, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return the mean loss of a batch, and add the gradient of `share` times it; call it under `no_grad`."""
        shapes = (inputs.shape, targets.shape)
        program = self._programs.get(shapes)
        if program is None:
            self._recordings[shapes] = self._record_or_refuse(inputs, targets)
            program = self._programs[shapes] = self._recordings[shapes](*self._state)
        loss_gradient = self._shares[share] if share in self._shares else self._share(share)
        loss, *of_parameters = program(inputs, targets, loss_gradient)
        for parameter, gradient in zip(self._trained, of_parameters, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        return loss

    def try_out(self, inputs: Tensor, targets: Tensor) -> None:
        """Record for the shapes of a batch and leave no trace in the model; `refused` says whether that failed."""
        with undone(self._model), torch.no_grad():
            self(inputs, targets, 1.0)
        for parameter in self._trained:
            parameter.grad = None

    def _record_or_refuse(self, inputs: Tensor, targets: Tensor) -> Recording:
        try:
            return self._record(inputs, targets)
        except NotRecordableError as error:
            self.refused = str(error)
            return lambda *state: self._by_autograd

    def _share(self, share: float) -> Tensor:
        """The gradient of the loss as a tensor, stored because making one takes as long as a small operation."""
        self._shares[share] = torch.tensor(share, device=self._runtime.device)
        return self._shares[share]

    def _record(self, inputs: Tensor, targets: Tensor) -> Recording:
        batch = (inputs, targets, self._share(1.0))
        with undone(self._model):
            expected = [*self._by_autograd(*batch), *(buffer.clone() for buffer in self._model.buffers())]
        recorder = OpRecorder([*self._state, *batch])
        try:
            with undone(self._model), recorder:
                results = self._by_autograd(*batch)
        except Exception as error:
            raise NotRecordableError(first_line(error)) from error
        if _share_memory(results, [*self._state, *batch]):  # changing one in place would change another
            raise NotRecordableError("its gradients share memory")
        outputs = [recorder.name(result) for result in results]
        for fast in (True, False):  # a fast binding may be another operator, or not take the recorded arguments
            with undone(self._model), contextlib.suppress(Exception), torch.no_grad():
                recording = compile_graph(recorder, outputs, len(self._state), fast=fast)
                replayed = [*recording(*self._state)(*batch), *self._model.buffers()]
                if _equal(replayed, expected):
                    return recording
        raise NotRecordableError("the recorded operations gave another result than the model itself")

    def _by_autograd(self, inputs: Tensor, targets: Tensor, share: Tensor) -> list[Tensor]:
        with torch.enable_grad(), self._runtime.autocast():
            loss = self._loss(self._model(inputs), targets)
        return [loss.detach(), *gradients(loss, self._trained, share)]


def capture_step(
    runtime: Runtime,
    model: nn.Module,
    loss: Loss,
    targets: Tensor,
    input_shape: Sequence[int],
    sizes: Collection[int],
    *,
    requested: str,
    make: Callable[[nn.Module, Loss, Runtime], CapturedStep],
) -> tuple[CapturedStep | None, list[tuple[str, str, str]]]:
    """Return the captured step, or None, and the decision (setting, requested, used) where there is one to report.

    The step is recorded on random inputs for each size of batch, so that no recording interrupts the training.
    requested: the setting device.compile. `auto` records only models and losses of trusted packages.
    make: the class of the captured step, which depends on the device.
    """
    if runtime.compile != "step":
        return None, []
    reason = _untrusted(model, loss) if requested == "auto" else ""
    if has_hooks(model.modules()):
        reason = "it would not call the hooks of the modules"
    if not reason:
        model.train()
        captured = make(model, loss, runtime)
        generator = torch.Generator().manual_seed(0)
        for size in sorted(set(sizes), reverse=True):
            inputs = torch.randn(size, *input_shape, generator=generator).to(runtime.device)
            captured.try_out(runtime.arrange(inputs), targets[:size].to(runtime.device))
        reason = captured.refused
    if not reason:
        return captured, [("device.compile", "auto", "step")] if requested == "auto" else []
    return None, [("device.compile", requested, f"none, because the step can't be recorded: {reason}")]


def _untrusted(model: nn.Module, loss: Loss) -> str:
    """Say which part of model or loss is of another package, so it may compute something else at each call; or ""."""
    while isinstance(loss, partial):
        loss = loss.args[0] if loss.args else loss.func
    parts = [type(module) for module in model.modules()]
    parts.append(type(loss) if isinstance(loss, nn.Module) else loss)  # type: ignore[arg-type]
    for part in parts:
        if part.__module__.partition(".")[0] not in _TRUSTED:
            return (
                f"'{part.__qualname__}' may do something else at each call "
                "(device.compile=step records it all the same)"
            )
    return ""


def _share_memory(results: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    of_results, of_others = (
        [tensor.untyped_storage().data_ptr() for tensor in tensors] for tensors in (results, others)
    )
    return len(set(of_results)) < len(of_results) or not set(of_results).isdisjoint(of_others)


def _equal(results: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return len(results) == len(expected) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(results, expected, strict=True)
    )
