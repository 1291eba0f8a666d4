"""A loss whose jobs end as its setting says, until a file `fixed` is there."""

from __future__ import annotations

from pathlib import Path

import pytest

LOSS = """
import os, signal, sys, time
from pathlib import Path
import torch.nn.functional as F
from ptrun.registry import losses

@losses.register
def ends(outputs, targets, *, how: str = "well"):
    if Path("fixed").exists() or how == "well" or (how.startswith("once") and Path(how).exists()):
        return F.cross_entropy(outputs, targets)
    Path(how).touch()
    if how == "raises" or how.startswith("once"):
        raise ValueError("a mistake in the loss")
    if how == "exits":
        sys.exit(3)
    if how == "leaves":
        os._exit(0)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "memory":
        raise MemoryError("out of memory")
    if how == "hangs":
        time.sleep(1000)
    if how == "eats":
        held = []
        while True:
            held.append(b"x" * (64 << 20))
            time.sleep(0.05)
"""
PLUGIN = "plugins=[own.py]"


@pytest.fixture
def ends(folder: Path) -> tuple[str, ...]:
    """The words that train with this loss for three steps: small jobs that differ in `loss.how`."""
    (folder / "own.py").write_text(LOSS)
    return (PLUGIN, "loss=ends", "model=simplenet", "train.max_steps=3", "device.compile=none", "device.threads=1")
