"""The memory of a device: how much there is, and giving unused memory back."""

from __future__ import annotations

import math
import os

import torch


def device_memory_bytes(device: torch.device) -> float:
    """All memory of a device, in bytes; infinite where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return math.inf


def release_memory() -> None:
    """Give memory that torch's allocator keeps for later back to the GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
