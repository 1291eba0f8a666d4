"""How much memory a device has."""

from __future__ import annotations

import math
import os

import torch


def device_memory_bytes(device: torch.device) -> float:
    """Memory of a device, in bytes; infinite where it can't be asked."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return math.inf
