"""Lightning, to compare with: a module and a default Trainer, timed from the start of training to its end."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn


class Module(lightning.LightningModule):
    """The module of Lightning's introduction: a logged loss and an optimizer."""

    def __init__(self, model: nn.Module, optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]) -> None:
        super().__init__()
        self.model, self.make_optimizer = model, optimizer
        self.loss = nn.CrossEntropyLoss()
        self.started = self.seconds = 0.0

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """Return the loss of one batch."""
        inputs, targets = batch
        loss = self.loss(self.model(inputs), targets)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return self.make_optimizer(self.model.parameters())

    def on_train_start(self) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_end(self) -> None:
        """Stop the clock."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self.started


def train(module: Module, loader: Iterable[Any], epochs: int, **settings: Any) -> float:
    """Return the seconds of training with a default Trainer, which has a logger, a progress bar and checkpoints."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="lightning-bench-") as folder, warnings.catch_warnings(), _silent():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(max_epochs=epochs, default_root_dir=folder, **settings)
        trainer.fit(module, loader)
    return module.seconds


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
