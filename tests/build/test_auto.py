"""The task of the data decides loss, metrics and monitor; parts that do not fit the data are refused together."""

from __future__ import annotations

import pytest
from support import run_config

from ptrun.build.auto import check_pair, resolve_auto, resolve_before_data
from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.errors import ConfigError
from ptrun.spec import DataSpec, Layout, Task

CLASSES = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(4,), num_outputs=3)
NUMBERS = DataSpec(layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(4,), num_outputs=1, target_names=("y",))


@pytest.mark.parametrize(
    ("spec", "loss", "monitor", "mode"),
    [(CLASSES, "cross_entropy", "val/accuracy", "max"), (NUMBERS, "mse", "val/loss", "min")],
)
def test_the_task_decides(spec: DataSpec, loss: str, monitor: str, mode: str):
    config, decisions = resolve_auto(run_config("dataset=iris", "model=simplenet"), spec)
    assert (config.loss.name, config.train.monitor, config.train.monitor_mode) == (loss, monitor, mode)
    assert ("loss", "auto", loss) in decisions
    assert ("train.monitor", "auto", monitor) in decisions
    assert config.metrics != "auto"


def test_what_was_chosen_stays():
    chosen = ("loss=cross_entropy", "metrics=[accuracy]", "train.monitor=val/log_loss")
    config, decisions = resolve_auto(run_config("dataset=iris", "model=simplenet", *chosen), CLASSES)
    assert decisions == []
    assert config.train.monitor_mode == "min"  # follows from the metric


def test_all_parts_that_do_not_fit_are_named_together():
    config, _ = resolve_auto(run_config("dataset=iris", "model=simplenet"), CLASSES)
    check_pair(config, CLASSES)
    with pytest.raises(ConfigError) as caught:
        check_pair(config, NUMBERS)
    assert {problem.partition(":")[0] for problem in caught.value.problems} >= {"loss", "metrics"}


def transform_of(*overrides: str) -> tuple[object, object, bool]:
    """The last image transform of training and evaluation, and whether it was decided from the model."""
    config = load_config(Composer(), ["dataset=digits", "model=timm", *overrides]).config
    config, decisions = resolve_before_data(config)
    train, evaluation = (config.transform.settings[part][-1] for part in ("train", "eval"))
    return train, evaluation, any(decision[0] == "normalize" for decision in decisions)


def test_images_are_normalized_as_those_of_the_weights():
    half = {"normalize": {"mean": 0.5, "std": 0.5}}
    imagenet = {"normalize": {"mean": "imagenet", "std": "imagenet"}}
    computed = {"normalize": {"mean": "computed", "std": "computed"}}
    vit = "model.arch=vit_tiny_patch16_224"
    assert transform_of(vit, "model.weights=a.pth") == (half, half, True)
    assert transform_of(vit, "weights=a.pth") == (half, half, True)
    assert transform_of("model.weights=DEFAULT") == (imagenet, imagenet, True)
    assert transform_of(vit) == (computed, computed, False)
    assert transform_of(vit, "model.weights=a.pth", "transform=normalize") == (computed, computed, False)
    own = "transform.train=[normalize]"
    assert transform_of(vit, "model.weights=a.pth", own) == (computed, half, True)
