"""Every optimizer with every schedule, averaged weights and accumulated gradients.

A run that ends in the middle of an accumulation window and continues from the last checkpoint equals a whole one.

All in this process, with the functions that `ptrun train` and `ptrun resume` call; continuing builds new parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty import VOLATILE, assert_same_bits

from ptrun import catalog, plugins
from ptrun.build import run
from ptrun.checkpoint import names, state, store
from ptrun.checkpoint.saver import Saver
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.config.run_config import Component, RunConfig
from ptrun.data.loading.loader import Batch, Loader
from ptrun.engine.hooks import Hooks
from ptrun.engine.loop import fit
from ptrun.engine.progress import EpochReport, Progress

pytestmark = pytest.mark.faults
assert catalog.MODULES  # importing it fills the registries
OPTIMIZERS = sorted(plugins.REGISTRIES["optimizer"])
# Settings with which the schedule changes the rate within two epochs.
SCHEDULERS: dict[str, dict[str, Any]] = {
    "multistep": {"milestones_epochs": [1]},
    "plateau": {"patience_epochs": 0, "threshold": 0.5},
    "step": {"step_epochs": 1},
}
RUN = (
    "dataset=iris",
    "train.epochs=2",
    "train.batch_size=16",  # 105 samples: windows of 3, 3 and 1 batches in an epoch
    "train.grad_accumulation=3",
    "train.ema_decay=0.9",
    "checkpoint.every_steps=1",
    "device.threads=1",
    "metrics=[accuracy]",
)
MID_WINDOW = (1, 5)  # epoch, and batches trained in it
# An embedding with sparse gradients, which SparseAdam requires.
PLUGIN = """
import torch
from torch import nn
from ptrun.registry import models


class Lookup(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.table = nn.Embedding(64, 4, sparse=True)
        self.last = nn.Linear(spec.num_features * 4, spec.num_outputs)

    def forward(self, x):
        return self.last(self.table((x * 8 + 32).long().clamp(0, 63)).flatten(1))


@models.register
def lookup(spec):
    return Lookup(spec)
"""


class Killed(BaseException):
    """An exception that no code of a run catches."""


class DyingLoader:
    """The batches of a loader, up to one in an epoch, where the process dies."""

    def __init__(self, loader: Loader, die_in: int, after: int) -> None:
        self.loader, self.die_in, self.after = loader, die_in, after
        self.sampler, self.split = loader.sampler, loader.split

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for done, batch in enumerate(self.loader.epoch(epoch, start), start):
            if (epoch, done) == (self.die_in, self.after):
                raise Killed
            yield batch


@dataclass(frozen=True)
class Whole:
    """The final state and records of a run."""

    state: dict[str, Any]
    records: list[dict[str, Any]]


@pytest.fixture(scope="session")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunConfig]:
    """A configuration for each model; the tests choose optimizer and schedule."""
    plugin = tmp_path_factory.mktemp("plugin") / "lookup.py"
    plugin.write_text(PLUGIN)
    composer = Composer()
    loaded = {
        "simplenet": load.load_config(composer, ("model=simplenet", *RUN)),
        "lookup": load.load_config(composer, ("model=lookup", f"plugins=[{plugin}]", *RUN)),
    }
    return {name: auto.resolve_auto(item.config)[0] for name, item in loaded.items()}


def test_the_schedulers_are_there():
    assert set(SCHEDULERS) <= set(plugins.REGISTRIES["scheduler"])


@pytest.mark.parametrize("scheduler", sorted(plugins.REGISTRIES["scheduler"]))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ended_in_mid_window_and_continued(
    tmp_path: Path, configs: dict[str, RunConfig], optimizer: str, scheduler: str
):
    config = configs["lookup" if optimizer == "sparse_adam" else "simplenet"]
    settings = {"lr": 0.01, "max_iter": 2} if optimizer == "lbfgs" else {"lr": 0.01}
    config = replace(
        config,
        optimizer=component("optimizer", optimizer, settings),
        scheduler=component("scheduler", scheduler, SCHEDULERS.get(scheduler, {})),
    )
    assert_continued(config, tmp_path)


def test_scaled_gradients(tmp_path: Path, configs: dict[str, RunConfig]):
    """With fp16 the scale and the steps since its last change are restored."""
    config = configs["simplenet"]
    device = replace(config.device, settings={**config.device.settings, "precision": "fp16"})
    assert_continued(replace(config, device=device), tmp_path)


def assert_continued(config: RunConfig, tmp_path: Path) -> None:
    """Train in one go; train again until the middle of a window and continue from the last checkpoint; compare."""
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Killed):
        train(config, tmp_path / "killed", die_at=MID_WINDOW)
    assert [path.name for path in names.step_files(tmp_path / "killed")][-1] == "step-00000004.pt"
    torch.manual_seed(99)
    rest = train(config, tmp_path / "killed")
    assert_same_bits(rest.state, whole.state)
    assert rest.records == whole.records[1:]


def component(group: str, name: str, changes: dict[str, Any]) -> Component:
    """The shipped settings of a component, with changes."""
    shipped = auto.default_component(group, name, ())
    return replace(shipped, settings={**shipped.settings, **changes})


def train(config: RunConfig, folder: Path, die_at: tuple[int, int] | None = None) -> Whole:
    """Train from the newest checkpoint of a folder, if there is one, to the end, or to a batch of an epoch."""
    parts = run.build(config)
    ctx, progress, records = parts.ctx, Progress(), list[dict[str, Any]]()
    constant: dict[str, Any] = {"config": {}, "spec": {}, "fitted": {}, "data": {}}
    if die_at is not None:
        ctx.train = DyingLoader(ctx.train, *die_at)

    def on_epoch_end(report: EpochReport) -> None:
        records.append({key: value for key, value in report.record.items() if key not in VOLATILE})
        saver.after_epoch(progress, report)

    if names.step_files(folder):
        state.restore(ctx, progress, store.load_newest(folder)[1])
    with Saver(ctx, folder, config.checkpoint.settings, constant) as saver:
        hooks = Hooks(
            on_epoch_end=on_epoch_end,
            is_save_due=saver.is_due,
            save=lambda: saver.save(progress),
        )
        fit(ctx, progress, hooks)
    progress.seconds = 0.0
    return Whole(state.copy_to_cpu(state.capture(ctx, progress)), records)
