"""A device and the number format to compute in: autocast, gradient scaling, memory format, reading values back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.process.machine import peak_process_bytes

_MIN_SCALE = 2.0**-84  # after a hundred overflows in a row from 2**16, the scale that GradScaler starts with
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """A device and the way to compute on it.

    channels_last: None until the model is known (ptrun/device/auto.py decides).
    decisions: what was decided by the program, as (setting, requested, used).
    """

    device: torch.device
    precision: str = "fp32"
    channels_last: bool | None = False
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
        """Compile the model in place, with device.compile=model."""
        if self.compile == "model":
            model.compile()

    def arrange(self, inputs: Tensor) -> Tensor:
        """Put a batch of images in the memory format of the model."""
        if inputs.dim() != 4:
            return inputs
        # Always one of the two formats, because convolutions round differently in each.
        return inputs.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    @property
    def has_fast_bf16(self) -> bool:
        """Whether the device has instructions for bf16 products; without them it emulates bf16, slowly."""
        if self.device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        if self.device.type != "cpu":
            return False
        return any(_cpu_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))

    @property
    def emulates_precision(self) -> bool:
        """Whether the device has no instructions for the number format, so that it is slower than fp32."""
        if self.precision == "bf16":
            return self.device.type in ("cpu", "cuda") and not self.has_fast_bf16
        if self.precision == "fp16" and self.device.type == "cpu":
            return not any(_cpu_capabilities().get(name) for name in ("avx512_fp16", "amx_fp16"))
        return False

    @property
    def gave_up(self) -> bool:
        """Whether fp16 gradients overflowed at every scale that was tried. Waits for the device."""
        return self.scaler is not None and self.scaler.get_scale() < _MIN_SCALE

    @property
    def reads_late(self) -> bool:
        """Whether the device runs asynchronously, so that a value is best read some time after it was asked for."""
        return self.device.type == "cuda"

    def fetch(self, values: Tensor) -> Callable[[], list[float]]:
        """Start to copy a vector off the device. The returned function waits for that copy, not for later work."""
        if not self.reads_late:
            return values.tolist
        copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
        copied: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch has no hints there
        copied.record()

        def wait() -> list[float]:
            copied.synchronize()
            values_read: list[float] = copy.tolist()
            return values_read

        return wait

    def synchronize(self) -> None:
        """Wait for the device, so that a clock read next counts its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def name(self) -> str:
        """The device in words."""
        if self.device.type == "cuda":
            return f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        if self.device.type == "cpu":
            threads = torch.get_num_threads()
            return f"cpu ({threads} thread{'s' if threads != 1 else ''})"
        return str(self.device)

    def kind(self) -> str:
        """`cpu`, or the name of the GPU. Two of a kind give the same bits."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def peak_memory_bytes(self) -> int:
        """The most memory taken so far: by the process on a CPU, by torch's allocator on a GPU."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return peak_process_bytes()


def _cpu_capabilities() -> dict[str, Any]:
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities
