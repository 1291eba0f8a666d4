"""What each kind of device can do, and which GPUs this machine has."""

from __future__ import annotations

from collections.abc import Iterator

import torch

FUSED_OPTIMIZER_DEVICES = frozenset({"cpu", "cuda"})  # types of devices with torch's fused SGD, Adam and AdamW kernels


def uses_pinned_memory(device: torch.device) -> bool:
    """Whether copies to the device from pinned memory run without waiting for its queue."""
    return device.type == "cuda"


def has_graphs(device: torch.device) -> bool:
    """Whether many kernels can be captured as one graph and launched together."""
    return device.type == "cuda"


def has_float64(device: torch.device) -> bool:
    """Whether the device computes in float64; Apple GPUs do not."""
    return device.type != "mps"


def describe_gpus() -> Iterator[tuple[str, str]]:
    """Yield the name and a description of each GPU; for CUDA also when there is none."""
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        capability = f"compute capability {properties.major}.{properties.minor}"
        yield f"cuda:{index}", f"{properties.name}, {memory}, {capability}"
    if not torch.cuda.is_available():
        version = torch.version.cuda
        yield "cuda", f"none found (torch is built for CUDA {version})" if version else "none (CPU build)"
    if torch.backends.mps.is_available():
        yield "mps", "Apple GPU"
