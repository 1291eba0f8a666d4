"""Device, number format, threads and random state: where and how the arithmetic runs.

Invariant: this is the only module that knows about autocast, gradient scaling and device names;
whatever it decides by itself is in `Runtime.decisions` as (setting, requested, used).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.process.machine import peak_process_bytes

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
        return peak_process_bytes()
