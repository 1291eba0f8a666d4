"""How much arithmetic a step is, and what follows from it: threads, formats, whether to record.

Invariant: a function of the model's shape, the batch size and the device alone, never of a clock, so
that two runs of one configuration decide alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.device.random_state import random_state, restore_random_state
from ptrun.device.runtime import Runtime
from ptrun.device.threads import set_threads

# A thread must have this much to do in a step (some milliseconds): with less, threads wait for each other after every
# operation. On two idle cores a second thread made steps of 100 to 300 million operations 1.1 to 1.4 times as fast, but
# beside a busy neighbour 5 times slower, so that small models run on one.
OPERATIONS_PER_THREAD = 200_000_000

# Of a larger step autograd's bookkeeping, which recording saves, is less than a tenth (measured: half of a step of a
# million operations, a sixth at a hundred million); of a smaller one arithmetic is no large part, whatever its format.
SMALL_OPERATIONS = 500_000_000


def settle(runtime: Runtime, model: nn.Module, input_shape: Sequence[int], batch_size: int) -> Runtime:
    """Decide what the device's settings leave open, now that the model is known; `decisions` says what was decided."""
    decided: list[tuple[str, str]] = []
    on_cpu = runtime.device.type == "cpu"
    most = set_threads(None) if runtime.threads is None and on_cpu else 1
    asks = most > 1 or (runtime.compile == "auto" and on_cpu) or runtime.precision == "auto"
    work = 0
    if asks:
        with suppress(Exception):  # a model that can't take a sample says so in its first step, of a whole batch
            work = step_operations(model, input_shape, batch_size)
    if runtime.precision == "auto":
        gains = work > SMALL_OPERATIONS and runtime.has_fast_bf16
        runtime = replace(runtime, precision="bf16" if gains else "fp32")
        decided.append(("device.precision", runtime.precision))
    if runtime.channels_last is None:
        runtime = replace(runtime, channels_last=_wants_channels_last(runtime, model))
        if runtime.channels_last:
            decided.append(("device.channels_last", "true"))
    if runtime.threads is None and on_cpu:
        set_threads(max(1, min(most, work // OPERATIONS_PER_THREAD)))
        decided.append(("device.threads", str(torch.get_num_threads())))
    if runtime.compile == "auto":
        records = on_cpu and work <= SMALL_OPERATIONS and runtime.scaler is None
        runtime = replace(runtime, compile="step" if records else "none")
        if not records:
            decided.append(("device.compile", "none"))
    more = tuple((setting, "auto", used) for setting, used in decided)
    return replace(runtime, decisions=(*runtime.decisions, *more))


def _wants_channels_last(runtime: Runtime, model: nn.Module) -> bool:
    """Convolutions are faster with the channels innermost on a CPU (0.75 to 1.0 of the time), and on tensor cores."""
    has_convolution = any(isinstance(module, nn.Conv2d) for module in model.modules())
    half_on_gpu = runtime.device.type == "cuda" and runtime.precision != "fp32"
    return has_convolution and (runtime.device.type == "cpu" or half_on_gpu)


def step_operations(model: nn.Module, input_shape: Sequence[int], batch_size: int) -> int:
    """Floating-point operations of one training step, roughly: six per weight and place where it is used (Kaplan et al., 2020, section 2.1)."""
    return 6 * batch_size * sum(_multiplications(model, torch.zeros(1, *input_shape)))


def _multiplications(model: nn.Module, inputs: Tensor) -> list[int]:
    """Multiplications by weights that one sample takes in each module that has some."""
    found: list[int] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        result = output[0] if isinstance(output, tuple) else output
        whole = isinstance(module, nn.MultiheadAttention)  # it uses the weights of its projection without calling it
        weights = [p for p in module.parameters(recurse=whole) if p.dim() > 1]
        if weights and isinstance(result, Tensor) and not isinstance(module, nn.Embedding):
            channels = result.shape[1 if isinstance(module, nn.modules.conv._ConvNd) else -1]
            found.append(sum(w.numel() for w in weights) * (result.numel() // channels))

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with _as_in_evaluation(model):
            model(inputs.to(next(model.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def _as_in_evaluation(model: nn.Module) -> Iterator[None]:
    """Leave no trace: no running statistics, no gradients, no random numbers drawn; and no fast paths, which skip hooks."""
    training, fast, random = model.training, torch.backends.mha.get_fastpath_enabled(), random_state()
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
        torch.backends.mha.set_fastpath_enabled(fast)
        restore_random_state(random)
