"""TensorBoard gets every number at its step; without the package the extra is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WITHOUT_TENSORBOARD = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorboard":
            raise ModuleNotFoundError("No module named 'tensorboard'", name="tensorboard")

sys.meta_path.insert(0, Blocker())
import ptrun.catalog
from pathlib import Path
from ptrun.errors import ConfigError
from ptrun.registry import loggers
try:
    loggers.build("tensorboard", {}, run_dir=Path(sys.argv[1]))
except ConfigError as error:
    print(error)
"""


def record(epoch: int, **extra: Any) -> dict[str, Any]:
    return {"epoch": epoch, "step": 10 * epoch, "train/loss": 1.0 / epoch, "best": epoch == 1, **extra}


@pytest.mark.slow
def test_absent_tensorboard_names_the_extra(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORBOARD, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert 'pip install "ptrun[tensorboard]"' in done.stdout


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's own imports
def test_tensorboard_holds_every_number_at_its_step(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from ptrun.loggers.tensorboard import tensorboard

    logger = tensorboard(run_dir=tmp_path)
    logger.start(tmp_path, {"model": {"name": "simplenet"}})
    logger.log(record(1))
    logger.log(record(2))
    logger.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(10, 1.0), (20, 0.5)]
    assert "best" not in events.Tags()["scalars"]
    assert b"simplenet" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
