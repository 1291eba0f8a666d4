"""Evaluation on several views of each image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended, newest_evaluation, newest_run
from torch import nn

from ptrun.build import model
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.errors import ConfigError
from ptrun.evaluation.test_time_augmentation import averaged
from ptrun.spec import DataSpec, Layout, Task

Call = Callable[..., Ended]


def test_the_views_are_the_published_ones():
    """Shifts by hand: the edge that becomes free is filled by what lies behind it, mirrored."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 4, 5))
    images = torch.randn(6, 2, 3, 4)
    rows, columns = torch.arange(3), torch.arange(4)
    up_left = images[:, :, (rows - 1).abs()][..., (columns - 1).abs()]
    down_right = images[:, :, 2 - (2 - rows - 1).abs()][..., 3 - (3 - columns - 1).abs()]
    both = [(model(each) + model(each.flip(3))) / 2 for each in (images, up_left, down_right)]
    assert averaged(model, "one") is model
    torch.testing.assert_close(averaged(model, "flip")(images), both[0])
    torch.testing.assert_close(averaged(model, "flip_shift")(images), both[0] / 2 + (both[1] + both[2]) / 4)


@pytest.mark.slow
def test_validation_test_and_eval_see_the_same_views(folder: Path, ptrun: Call):
    run = ("train", "model=convnet", "train.epochs=1", "device.threads=1")
    assert ptrun(*run).code == 0
    plain = newest_run(folder)
    assert ptrun(*run, "train.eval_views=flip_shift").code == 0
    viewed = newest_run(folder)

    def results(run_dir: Path) -> tuple[float, float, float]:
        record = json.loads((run_dir / "metrics.jsonl").read_text())
        return (
            record["train/loss"],
            record["val/loss"],
            json.loads((run_dir / "test" / "metrics.json").read_text())["loss"],
        )

    assert results(plain)[0] == results(viewed)[0]
    assert results(plain)[1] != results(viewed)[1]
    assert results(plain)[2] != results(viewed)[2]
    for change, want in (((), viewed), (("train.eval_views=one",), plain)):
        assert ptrun("eval", f"checkpoint={viewed}", *change).code == 0
        found = json.loads((newest_evaluation(folder) / "metrics.json").read_text())
        assert found == json.loads((want / "test" / "metrics.json").read_text())


def test_data_that_declare_nothing_are_looked_at(folder: Path):
    """As those of a plugin, which has no YAML file; the others are refused before torch is imported."""
    config = auto.resolve_auto(load.load_config(Composer(), ["train.eval_views=flip"]).config)[0]
    vectors = DataSpec(layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(3,), num_outputs=1, target_names=("y",))
    with pytest.raises(ConfigError, match="'flip' mirrors images, but these data are a vector"):
        model.build_views(config, vectors)
    with pytest.raises(ConfigError, match="'flip' mirrors images, but these data are a vector"):
        load.load_config(Composer(), ["dataset=iris", "train.eval_views=flip"])


@pytest.mark.parametrize("command", ["train", "eval"])
def test_only_images_have_views(folder: Path, ptrun: Call, command: str):
    marks = ("train", "dataset=iris", "train.epochs=1")
    assert ptrun(*marks).code == 0
    words = marks if command == "train" else ("eval", f"checkpoint={newest_run(folder)}")
    ended = ptrun(*words, "train.eval_views=flip")
    assert ended.code == 2
    assert (
        "train.eval_views: 'flip' mirrors images, but these data are a vector. Use train.eval_views=one." in ended.err
    )
