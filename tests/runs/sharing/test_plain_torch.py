"""Plain torch takes the weights of a checkpoint by the lines that are printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support import Ended
from torch import nn
from torchvision import models

PHOTOS = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [(), ("train.ema_decay=0.5",)])
def test_the_network_of_another_package(folder: Path, ptrun: Callable[..., Ended], settings: tuple[str, ...]) -> None:
    np.savez("a.npz", x_train=PHOTOS, y_train=np.arange(40) % 2)
    words = ("dataset=arrays", "dataset.path=a.npz", "model=torchvision", "model.arch=squeezenet1_1")
    assert ptrun("train", *words, *settings, "train.max_steps=2", "device.threads=1", "-q").code == 0
    assert ptrun("publish", "outputs/latest", "given.pt").code == 0
    exported = ptrun("export", "outputs/latest", "format=safetensors", "output=w.safetensors")
    assert exported.code == 0, exported.err
    lines = [line.strip() for line in exported.out.splitlines()]
    card = re.search(r"```python\n(.*?)```", (folder / "given.md").read_text(encoding="utf-8"), re.DOTALL)
    assert card is not None
    readings = {
        "network": card[1],
        "model": "\n".join(line for line in lines if line.startswith(("from safetensors", "model.load"))),
    }
    for name, code in readings.items():
        module: nn.Module = models.squeezenet1_1(num_classes=2)
        exec(code, {name: module})  # noqa: S102 - what a user pastes
        published = torch.load("given.pt", weights_only=True)["model"]
        assert torch.equal(module.state_dict()["features.0.weight"], published["network.features.0.weight"])
