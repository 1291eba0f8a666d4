"""The forward and backward pass of a step as one CUDA graph for each shape of batch: one launch instead of hundreds.

A graph holds the kernels that autograd launches, and draws the same random numbers. It is used only after a replay gave
the results of autograd on a batch: bit for bit, or, where kernels add in no fixed order, as near as autograd to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ptrun.device.runtime import Runtime
from ptrun.engine.capture.captured_step import CapturedStep, NotRecordableError, Recording
from ptrun.engine.capture.recorder import ReadsValuesError, refuse_reading_values
from ptrun.engine.capture.torch_internals import end_allocation_to_pool
from ptrun.engine.undo import undone
from ptrun.errors import ConfigError, first_line
from ptrun.losses.shapes import Loss

_FAILED: list[torch.cuda.CUDAGraph] = []  # kept alive: torch's allocator of pinned memory may still ask for them
_TOLERANCE = 10  # times the distance between two eager steps, which is 0 where all kernels are deterministic


class GraphedStep(CapturedStep):
    """Computes loss and gradients of a batch by replaying a CUDA graph.

    While Python launches the kernels of a small network one by one, the GPU waits. Measured on an H100, a step of an
    MLP 64-128-10 with batches of 32 took 910 µs without a graph and 115 µs with one. As in `CapturedStep`, Python code
    of the model runs only while a graph is captured. The optimizer is not part of the graph, so that clipping,
    averaging and schedules need no second version; a hand-written graph of the whole step took 73 µs.
    """

    def __init__(self, model: nn.Module, loss: Loss, runtime: Runtime) -> None:
        self._pool = (
            torch.cuda.graph_pool_handle()
        )  # memory for all graphs together, as they never run at the same time
        self._has_failed = False
        self._values: list[dict[str, Any]] = []
        super().__init__(model, loss, runtime)

    def _may_differ(self) -> bool:
        """Compare the model's settings with those of the epoch before: capturing takes as long as several steps."""
        before, self._values = self._values, _plain_values(self._model)
        return super()._may_differ() and self._values != before

    def _record(self, inputs: Tensor, targets: Tensor) -> Recording:
        if self._has_failed:
            raise NotRecordableError(self.refused)
        try:
            batch = [inputs.clone(), targets.clone(), torch.ones_like(self._share(1.0))]
            graph = self._checked_graph(batch)
        except torch.OutOfMemoryError as error:  # the loop runs out of memory too, and handles that
            raise NotRecordableError(first_line(error)) from error
        return lambda *state: graph

    def _checked_graph(self, batch: Sequence[Tensor]) -> GraphProgram:
        """Capture the step, and replay it to compare the results with those of autograd."""
        self._require_capturable(batch)
        expected, repeated = self._eager(batch), self._eager(batch)
        with undone(self._model):
            graph = self._capture(batch)
        graph.invalidate_results()
        with undone(self._model):
            replayed = self._with_buffers(graph(*batch))
        if not relative_distance(replayed, expected) <= _TOLERANCE * relative_distance(
            repeated, expected
        ):  # also for NaN
            raise NotRecordableError("a replay of its CUDA graph gave another result than the model itself")
        return graph

    def _require_capturable(self, batch: Sequence[Tensor]) -> None:
        """Run the step once and refuse what a graph can't hold: the error of a failed capture does not name it."""
        try:
            with undone(self._model), RefuseUncapturable():
                results = self._by_autograd(*batch)
        except Exception as error:
            raise NotRecordableError(first_line(error)) from error
        if any(result.layout is not torch.strided for result in results):
            raise NotRecordableError("its gradients are sparse")

    def _eager(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """Results of autograd, on a side stream as in a capture, so that libraries set up there what they need."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with undone(self._model):
            side.wait_stream(current)
            with torch.cuda.stream(side):
                results = self._with_buffers(self._by_autograd(*batch))
            current.wait_stream(side)
        torch.cuda.synchronize()
        return results

    def _with_buffers(self, results: Sequence[Tensor]) -> list[Tensor]:
        """Copies of loss and gradients, and of the buffers after the step."""
        return [tensor.detach().clone() for tensor in (*results, *self._model.buffers())]

    def _capture(self, batch: Sequence[Tensor]) -> GraphProgram:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # thread_local: another thread may copy a checkpoint to the CPU meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                loss, *gradients = self._by_autograd(*batch)
                gradients = own_memory(gradients, self._trained, batch)
        except Exception as error:
            self._clean_up(graph, stream)
            raise NotRecordableError(first_line(error.__context__ or error)) from error
        return GraphProgram(graph, batch, loss, gradients, self._trained)

    def _clean_up(self, failed: torch.cuda.CUDAGraph, stream: torch.cuda.Stream) -> None:
        """Undo what torch leaves behind when a capture fails at its end, so that training can go on without graphs.

        The current stream is still that of the capture, and the allocator still serves the graph. In torch 2.11 the
        random generator is still capturing too, which only another, successful capture ends.
        """
        self._has_failed = True
        torch.cuda.set_stream(stream)
        failed.reset()
        _FAILED.append(failed)
        end_allocation_to_pool(stream.device_index, self._pool)
        try:
            with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=torch.cuda.Stream()):  # type: ignore[no-untyped-call]
                torch.zeros((), device=stream.device)
        except RuntimeError as error:
            raise ConfigError(
                "device.compile: the step could not be captured as a CUDA graph, and torch can't continue after that: "
                f"{first_line(error)}. Use device.compile=none."
            ) from error


class GraphProgram:
    """A captured step, with its own copy of the batch. Each replay overwrites the results of the one before."""

    def __init__(
        self,
        graph: torch.cuda.CUDAGraph,
        batch: Sequence[Tensor],
        loss: Tensor,
        gradients: list[Tensor],
        parameters: Sequence[Tensor],
    ) -> None:
        self._graph, self._loss, self._gradients, self._parameters = graph, loss, gradients, parameters
        self._inputs, self._targets, self._share = batch
        self._last_share: Tensor | None = None

    def invalidate_results(self) -> None:
        """Set the results to NaN, so that a replay that computes nothing is noticed."""
        for result in (self._loss, *self._gradients):
            result.fill_(float("nan"))

    def __call__(self, inputs: Tensor, targets: Tensor, share: Tensor) -> list[Tensor]:
        """Return loss and gradients of a batch. The gradients are valid until the next call."""
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            if parameter.grad is gradient:  # of an earlier batch of the same optimizer step
                parameter.grad = gradient.clone()
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        if share is not self._last_share:
            self._share.copy_(share)
            self._last_share = share
        self._graph.replay()
        return [self._loss.clone(), *self._gradients]  # losses are read many steps later


class RefuseUncapturable(TorchDispatchMode):
    """A context that refuses operations that wait for the device or use the CPU, which a graph can't hold."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """See `OpRecorder`."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation that a graph can hold. Raises ReadsValuesError."""
        kwargs = kwargs or {}
        refuse_reading_values(func, args)
        result = func(*args, **kwargs)
        draws_on_cpu = torch.Tag.nondeterministic_seeded in func.tags and _is_on_cpu(result)
        # Attention keeps the seed of its dropout on the CPU, but on the GPU while a graph is captured.
        is_attention = "scaled_dot_product" in str(func)
        if (draws_on_cpu or _is_on_cpu([*args, *kwargs.values()])) and not is_attention:
            raise ReadsValuesError(f"it works on the CPU as well ({func})")
        return result


def _plain_values(model: nn.Module) -> list[dict[str, Any]]:
    """Settings of each module: its mode, the probability of a dropout, and other plain attributes."""
    plain = (bool, int, float, str, tuple, type(None))
    return [
        {name: value for name, value in vars(module).items() if isinstance(value, plain)} for module in model.modules()
    ]


def _is_on_cpu(value: Any) -> bool:
    """Whether there is a tensor of the CPU in nested arguments."""
    if isinstance(value, list | tuple):
        return any(map(_is_on_cpu, value))
    return isinstance(value, Tensor) and value.device.type == "cpu"


def own_memory(gradients: Sequence[Tensor], parameters: Sequence[Tensor], batch: Sequence[Tensor]) -> list[Tensor]:
    """Gradients with the strides of their parameters, which fused kernels need, that share memory with no other tensor.

    A gradient that is not so already, such as two gradients of one sum, is copied.
    """
    taken = {tensor.untyped_storage().data_ptr() for tensor in (*parameters, *batch)}
    own: list[Tensor] = []
    for gradient, parameter in zip(gradients, parameters, strict=True):
        if gradient.stride() != parameter.stride() or gradient.untyped_storage().data_ptr() in taken:
            gradient = torch.empty_like(parameter, requires_grad=False).copy_(gradient)
        taken.add(gradient.untyped_storage().data_ptr())
        own.append(gradient)
    return own


def relative_distance(results: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Norm of the difference divided by the norm of the expected results, all tensors together; 0 for equal bits."""
    if all(map(torch.equal, results, expected)):
        return 0.0
    pairs = [(a.double(), b.double()) for a, b in zip(results, expected, strict=True)]
    squares = torch.stack([torch.stack([(a - b).square().sum(), b.square().sum()]) for a, b in pairs]).sum(0)
    difference, size = squares.sqrt().tolist()
    return float(difference / size) if size else float("inf")
