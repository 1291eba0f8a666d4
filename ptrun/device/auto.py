"""Resolves the `auto` of the device's settings: threads, number format, memory format, whether to capture the step.

The decisions follow from the amount of arithmetic in a step, that is from the model's shape, the batch size and the
device; never from a clock, so that two runs of one configuration decide alike.
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

# A thread needs this much to do in a step (some milliseconds): with less, threads wait for each other after every
# operation. On two idle cores a second thread made steps of 100 to 300 million operations 1.1 to 1.4 times as fast, but
# beside a busy process 5 times slower, so small models run on one.
OPERATIONS_PER_THREAD = 200_000_000

# The bookkeeping of autograd, which capturing the step saves, was half of a step of a million operations, a sixth of
# one of a hundred million, and less than a tenth of a larger one. Below this, bf16 gains nothing either.
SMALL_OPERATIONS = 500_000_000

# Up to here `compile=auto` captures the step. A GPU waits for the program in much larger steps than a CPU. Time without
# a graph over time with one, on an H100: 7 at two million operations, 2.9 (fp32) and 5 (bf16) at 20 billion, 1.1 at 700
# billion, 1.03 at 3 trillion.
MAX_CAPTURED_OPERATIONS = {"cpu": SMALL_OPERATIONS, "cuda": 1_000_000_000_000}


def resolve_auto(runtime: Runtime, model: nn.Module, input_shape: Sequence[int], batch_size: int) -> Runtime:
    """Decide what the device's settings leave open, now that the model is known, and note it in `decisions`."""
    on_cpu = runtime.device.type == "cpu"
    max_threads = set_threads(None) if runtime.threads is None and on_cpu else 1
    max_captured = MAX_CAPTURED_OPERATIONS.get(runtime.device.type, -1) if runtime.scaler is None else -1
    operations = 0
    if max_threads > 1 or (runtime.compile == "auto" and max_captured > 0) or runtime.precision == "auto":
        with suppress(Exception):  # a model that fails on a sample fails in the first step too, with a better message
            operations = step_operations(model, input_shape, batch_size)
    decisions: list[tuple[str, str, str]] = []
    if runtime.precision == "auto":
        fast_bf16 = operations > SMALL_OPERATIONS and runtime.has_fast_bf16
        runtime = replace(runtime, precision="bf16" if fast_bf16 else "fp32")
        decisions.append(("device.precision", "auto", runtime.precision))
    elif runtime.emulates_precision:
        slow = "slow here, because this device has no instructions for it; device.precision=auto takes fp32 then"
        decisions.append(("device.precision", runtime.precision, slow))
    if runtime.channels_last is None:
        runtime = replace(runtime, channels_last=_wants_channels_last(runtime, model))
        if runtime.channels_last:
            decisions.append(("device.channels_last", "auto", "true"))
    if runtime.threads is None and on_cpu:
        set_threads(max(1, min(max_threads, operations // OPERATIONS_PER_THREAD)))
        decisions.append(("device.threads", "auto", str(torch.get_num_threads())))
    if runtime.compile == "auto":
        captures = operations <= max_captured
        runtime = replace(runtime, compile="step" if captures else "none")
        if not captures:
            decisions.append(("device.compile", "auto", "none"))
    return replace(runtime, decisions=(*runtime.decisions, *decisions))


def _wants_channels_last(runtime: Runtime, model: nn.Module) -> bool:
    """Convolutions are faster with the channels innermost on a CPU (0.75 to 1.0 of the time), and on tensor cores."""
    has_convolution = any(isinstance(module, nn.Conv2d) for module in model.modules())
    half_on_gpu = runtime.device.type == "cuda" and runtime.precision != "fp32"
    return has_convolution and (runtime.device.type == "cpu" or half_on_gpu)


def step_operations(model: nn.Module, input_shape: Sequence[int], batch_size: int) -> int:
    """Floating-point operations of one training step, roughly: six for each weight and place where it is used.

    Kaplan et al., Scaling laws for neural language models, 2020, section 2.1.
    """
    return 6 * batch_size * sum(_multiplications(model, torch.zeros(1, *input_shape)))


def _multiplications(model: nn.Module, inputs: Tensor) -> list[int]:
    """Multiplications by weights for one sample, in each module that has weights."""
    counts: list[int] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        result = output[0] if isinstance(output, tuple) else output
        recurse = isinstance(module, nn.MultiheadAttention)  # uses the weights of its projection without calling it
        weights = [p for p in module.parameters(recurse=recurse) if p.dim() > 1]
        if weights and isinstance(result, Tensor) and not isinstance(module, nn.Embedding):
            channels = result.shape[1 if isinstance(module, nn.modules.conv._ConvNd) else -1]
            counts.append(sum(w.numel() for w in weights) * (result.numel() // channels))

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with _as_in_evaluation(model):
            model(inputs.to(next(model.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
    return counts


@contextmanager
def _as_in_evaluation(model: nn.Module) -> Iterator[None]:
    """Inside, a forward pass changes nothing, and takes no fast path, which would skip hooks."""
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
