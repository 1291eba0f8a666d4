"""Runs with randomly drawn components that are killed and continued equal the uninterrupted run bit for bit.

The same runs are drawn each time. PTRUN_DRAWS sets how many.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from faulty import INSTANTS, KILLED, LEAN, assert_equal_runs, done, ptrun
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ptrun import catalog
from ptrun.config.schema import names
from ptrun.plugins import REGISTRIES

pytestmark = pytest.mark.faults
DRAWS = int(os.environ.get("PTRUN_DRAWS", "6"))
assert catalog.MODULES  # which fills the registries
# These need other data than digits of 8 x 8 pixels, or files of weights.
NOT_FOR_DIGITS = {"auto", "dlinear", "fcn", "lstm", "nlinear", "patch_transformer"}
NOT_FOR_DIGITS |= {"resnet_table", "torchvision", "transfer"}
MODELS = sorted(set(REGISTRIES["model"]) - NOT_FOR_DIGITS)
OPTIMIZERS = sorted(set(REGISTRIES["optimizer"]) - {"sparse_adam"})
SCHEDULERS = sorted(REGISTRIES["scheduler"])
TRANSFORMS = sorted(set(names("transform")) - {"imagenet"})
SMALLER = {
    "attention": ("model.width=16",),
    "cifar_net": ("model.channels=[8,8,8]",),
    "convnet": ("model.channels=[4,8]", "model.hidden_features=16"),
    "resnet_cifar": ("model.depth=8", "model.width=4"),
    "timm": ("model.arch=test_byobnet",),
    "transformer": ("model.width=16",),
}


class Drawn(NamedTuple):
    model: str
    optimizer: str
    scheduler: str
    transform: str
    accumulation: int
    ema: str
    batch_size: int
    every_steps: str
    moment: float  # when the process dies, as a share of all its instants

    def arguments(self) -> list[str]:
        """The arguments of the command."""
        return [
            f"model={self.model}",
            *SMALLER.get(self.model, ()),
            f"optimizer={self.optimizer}",
            *(["optimizer.max_iter=2"] if self.optimizer == "lbfgs" else []),
            f"scheduler={self.scheduler}",
            f"transform={self.transform}",
            f"train.grad_accumulation={self.accumulation}",
            f"train.ema_decay={self.ema}",
            f"train.batch_size={self.batch_size}",
            f"checkpoint.every_steps={self.every_steps}",
            "train.epochs=2",
            "train.max_steps=30",
            "train.on_nonfinite=stop",
            "optimizer.lr=0.001",
            "device.threads=1",
            *LEAN,
        ]


@settings(
    max_examples=DRAWS, derandomize=True, database=None, deadline=None,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    st.builds(
        Drawn,
        model=st.sampled_from(MODELS),
        optimizer=st.sampled_from(OPTIMIZERS),
        scheduler=st.sampled_from(SCHEDULERS),
        transform=st.sampled_from(TRANSFORMS),
        accumulation=st.integers(1, 3),
        ema=st.sampled_from(["null", "0.9"]),
        batch_size=st.integers(60, 200),
        every_steps=st.sampled_from(["null", "1", "4"]),
        moment=st.floats(0.2, 0.95),
    )
)
def test_killed_and_continued(drawn: Drawn):
    folder = Path(tempfile.mkdtemp(prefix="drawn-"))
    try:
        for name in ("whole", "killed"):
            (folder / name).mkdir()
        notes = folder / "instants"
        whole = done(folder / "whole", "train", *drawn.arguments(), INSTANTS, INSTANTS=str(notes))
        instant = int(len(notes.read_text().splitlines()) * drawn.moment)
        ended = ptrun(folder / "killed", "train", *drawn.arguments(), INSTANTS, DIE_AT=str(instant))
        assert ended.code == KILLED, (ended.code, ended.err)
        assert_equal_runs(done(folder / "killed", "train", *drawn.arguments(), "resume=auto"), whole)
    finally:
        shutil.rmtree(folder)
