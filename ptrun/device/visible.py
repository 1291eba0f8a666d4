"""The GPUs that a process may use, found without a library: asking one would keep this process from being forked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"  # read when a process first uses a GPU


def gpu_ids(device: str, environment: Mapping[str, str] = os.environ, folder: Path = Path("/dev")) -> list[str]:
    """The names of the GPUs by which VISIBLE chooses among them; none when `device` says that they are not used."""
    if device not in ("auto", "cuda"):
        return []
    if VISIBLE in environment:
        return [name.strip() for name in environment[VISIBLE].split(",") if name.strip() not in ("", "-1")]
    numbers = [match[1] for path in folder.glob("nvidia*") if (match := re.fullmatch(r"nvidia(\d+)", path.name))]
    return sorted(numbers, key=int)
