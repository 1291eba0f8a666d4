"""A second run in the same process is refused while the first goes on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from support import train

from ptrun.checkpoint import store
from ptrun.errors import ConfigError
from ptrun.process.one_run import only_run_of_process


def test_one_run_after_the_other():
    with only_run_of_process():
        pass
    with pytest.raises(ZeroDivisionError), only_run_of_process():
        raise ZeroDivisionError
    with only_run_of_process(), pytest.raises(ConfigError, match="Another training run"), only_run_of_process():
        pass


def test_two_runs_in_threads_disturb_neither(folder: Path):
    asked = ("dataset=iris", "model=regularized", "train.epochs=3", "device.threads=1")

    def weights(result: Any) -> dict[str, torch.Tensor]:
        return dict(store.load(result.run_dir / "checkpoints" / "last.pt")["model"])

    alone = weights(train(*asked, quiet=True))
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(weights(train(*asked, quiet=True)))
        except ConfigError as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trained = [each for each in found if isinstance(each, dict)]
    assert trained
    assert len(found) == 3
    assert all(torch.equal(each[name], alone[name]) for each in trained for name in alone)
