"""Device, number format, threads and random state: where and how the arithmetic runs.

Invariant: this is the only module that knows about autocast, gradient scaling and device names;
whatever it decides by itself is in `Runtime.decisions` as (setting, requested, used).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ptrun.errors import ConfigError
from ptrun.fused import lean_step

_REPLACED_THREADS: list[int] = []  # torch's own number, while a run's number is in force
_THREADS_PER_CORE = 4  # at most; a slip of the finger would start thousands
_LEAST_SCALE = 2.0**-84  # a hundred overflows from the scale that GradScaler begins with, 2**16
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """A device and the way to compute on it."""

    device: torch.device
    precision: str = "fp32"
    channels_last: bool | None = False  # None: to be decided when the model is known
    threads: int | None = None
    compile: str = "none"
    fused: bool = False
    scaler: torch.amp.GradScaler | None = None
    decisions: tuple[tuple[str, str, str], ...] = field(default=())

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass and its loss."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision])

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device in the memory format asked for."""
        model = model.to(self.device)
        return model.to(memory_format=torch.channels_last) if self.channels_last else model

    def compile_model(self, model: nn.Module) -> None:
        """Compile the model in place when that was asked for."""
        if self.compile == "model":
            model.compile()

    def arrange(self, inputs: Tensor) -> Tensor:
        """Put a batch of images in the memory format of the model."""
        if inputs.dim() != 4:
            return inputs
        # One format whatever the images come in: convolutions round differently in each.
        return inputs.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    def backward(self, loss: Tensor) -> None:
        """Accumulate gradients, scaled when the format needs it."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def stepper(self, optimizer: torch.optim.Optimizer, clip: Callable[[], None] | None) -> Callable[[], None]:
        """Return a function that clips the gradients, takes one optimizer step, and clears them; for one epoch."""
        if self.scaler is not None:
            return partial(_scaled_step, self.scaler, optimizer, clip)
        step = lean_step(optimizer)
        return step if clip is None else partial(_clipped_step, clip, step)

    @property
    def has_fast_bf16(self) -> bool:
        """Whether the device has instructions for products in bf16, and does not only imitate them."""
        if self.device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        if self.device.type != "cpu":
            return False
        found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(found.get(name) for name in ("avx512_bf16", "amx_bf16"))

    @property
    def gave_up(self) -> bool:
        """Whether fp16 gradients overflowed so often, each time halving their scale, that no scale will do; waits for the device."""
        return self.scaler is not None and self.scaler.get_scale() < _LEAST_SCALE

    @property
    def reads_late(self) -> bool:
        """Whether the device works on while the program does, so that a value is best read some time after it was asked for."""
        return self.device.type == "cuda"

    def fetch(self, values: Tensor) -> Callable[[], list[float]]:
        """Begin to copy a vector off the device; the returned function waits for that copy, not for later work."""
        if not self.reads_late:
            return values.tolist
        copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
        copied: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()

        def wait() -> list[float]:
            copied.synchronize()
            values_read: list[float] = copy.tolist()
            return values_read

        return wait

    def closure_step(self, optimizer: torch.optim.Optimizer, closure: Callable[[], Tensor]) -> Tensor:
        """One step of an optimizer that calls the closure, perhaps several times; returns the loss it began with."""
        loss: Tensor = optimizer.step(closure)  # type: ignore[arg-type,assignment]
        optimizer.zero_grad(set_to_none=True)
        return loss

    def synchronize(self) -> None:
        """Wait for the device, so that a clock read next is true."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def name(self) -> str:
        """The device as a person knows it."""
        if self.device.type == "cuda":
            return f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        if self.device.type == "cpu":
            threads = torch.get_num_threads()
            return f"cpu ({threads} thread{'s' if threads != 1 else ''})"
        return str(self.device)

    def kind(self) -> str:
        """What computes: `cpu`, or the name of the GPU; two of a kind give the same bits."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def peak_memory_bytes(self) -> int:
        """Largest memory taken so far: of the process on a CPU, of torch's allocator on a GPU."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return _peak_process_bytes()


def _scaled_step(
    scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer, clip: Callable[[], None] | None
) -> None:
    if clip is not None:
        scaler.unscale_(optimizer)
        clip()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)


def _clipped_step(clip: Callable[[], None], step: Callable[[], None]) -> None:
    clip()
    step()


def make_runtime(
    *,
    name: str,
    index: int,
    precision: str,
    compile: str,
    channels_last: bool | str,
    fused: bool,
    threads: int | str,
    deterministic: bool,
) -> Runtime:
    """Choose the device and set threads and determinism. Raises ConfigError for a device that is not there."""
    device, decisions = _choose_device(name, index)
    wanted_threads = None if isinstance(threads, str) else threads
    most = _THREADS_PER_CORE * (os.cpu_count() or 1)
    if wanted_threads is not None and wanted_threads > most:
        raise ConfigError(
            f"device.threads: {wanted_threads} is more than {_THREADS_PER_CORE} for each core of this machine. Use at most {most}, or auto."
        )
    set_threads(wanted_threads)
    if deterministic:
        # cuBLAS reads this once, when CUDA starts (docs.pytorch.org/docs/stable/notes/randomness.html).
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    if (
        deterministic != torch.are_deterministic_algorithms_enabled()
    ):  # setting it imports torch's compiler, two seconds
        torch.use_deterministic_algorithms(deterministic)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    scaler = torch.amp.GradScaler(device.type) if precision == "fp16" else None
    return Runtime(
        device=device,
        precision=precision,
        channels_last=None if isinstance(channels_last, str) else channels_last,
        threads=wanted_threads,
        compile=compile,
        fused=fused,
        scaler=scaler,
        decisions=tuple(decisions),
    )


def set_threads(threads: int | None) -> int:
    """Set the number of CPU threads; None puts back torch's own, which an earlier call may have replaced. Returns the number."""
    if threads is not None:
        if not _REPLACED_THREADS:
            _REPLACED_THREADS.append(torch.get_num_threads())
        torch.set_num_threads(threads)
    elif _REPLACED_THREADS:
        torch.set_num_threads(_REPLACED_THREADS.pop())
    return torch.get_num_threads()


def _choose_device(name: str, index: int) -> tuple[torch.device, list[tuple[str, str, str]]]:
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        chosen = "cuda" if cuda else "mps" if mps else "cpu"
        device = torch.device(chosen, index) if chosen == "cuda" else torch.device(chosen)
        return device, [("device", "auto", chosen)]
    if name == "cuda" and not cuda:
        raise ConfigError(
            "device: 'cuda' was asked for, but torch finds no CUDA device here (`ptrun doctor` says what there is). Use device=auto or device=cpu."
        )
    if name == "cuda" and index >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(
            f"device.index: there is no CUDA device {index}; this machine has {count}, numbered from 0 to {count - 1}."
        )
    if name == "mps" and not mps:
        raise ConfigError(
            "device: 'mps' was asked for, but this is no Apple computer with a GPU that torch can use. Use device=auto or device=cpu."
        )
    return (torch.device("cuda", index) if name == "cuda" else torch.device(name)), []


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The state of every random generator, in plain containers and tensors."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "numpy": [
            str(name),
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Inverse of `random_state`; a generator that is not in the state is left alone."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])


def clipper(
    parameters: Iterable[nn.Parameter], clip_norm: float | None, clip_value: float | None
) -> Callable[[], None] | None:
    """Return a function that clips the gradients in place, or None when nothing is clipped."""
    if clip_norm is None and clip_value is None:
        return None
    parameters = list(parameters)

    def clip() -> None:
        if clip_value is not None:
            nn.utils.clip_grad_value_(parameters, clip_value)
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)

    return clip


def _peak_process_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
