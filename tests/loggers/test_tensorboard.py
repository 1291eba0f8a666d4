"""TensorBoard gets every number at its step; without the package the extra is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Ended, newest_run

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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's own imports
def test_tensorboard_holds_the_results_beside_the_settings(folder: Path, ptrun: Callable[..., Ended]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    ended = ptrun("train", "model=simplenet", "train.max_steps=2", "logger=tensorboard", "optimizer.lr=0.25")
    assert ended.code == 0, ended.err
    events = EventAccumulator(str(newest_run(folder) / "tensorboard"))
    events.Reload()
    summary = json.loads((newest_run(folder) / "summary.json").read_text())
    (event,) = events.Scalars("test/accuracy")
    assert (event.step, event.value) == (2, pytest.approx(summary["test"]["accuracy"]))
    content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["optimizer.lr"].number_value == 0.25
    assert settings["model.name"].string_value == "simplenet"
