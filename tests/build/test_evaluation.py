"""Metrics and predictions follow the configuration."""

from __future__ import annotations

import pytest
import torch

from ptrun.build.evaluation import build_trained_model, build_validation_metrics, make_predictions, metric_settings
from ptrun.build.run import build_runtime
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.config.run_config import RunConfig
from ptrun.engine.evaluate import Outputs
from ptrun.spec import DataSpec, Layout, Task

SPEC = DataSpec(
    layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(1, 8, 8), num_outputs=3, class_names=("a", "b", "c")
)
OUTPUTS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 1.0]])
TARGETS = torch.tensor([0, 2])


def config(*overrides: str) -> RunConfig:
    return auto.resolve_auto(load.load_config(Composer(), ["train.monitor=val/loss", *overrides]).config)[0]


def test_metrics_are_named_with_their_settings():
    assert metric_settings(config("metrics=[accuracy,{top_k:{k:2}}]")) == {"accuracy": {}, "top_k": {"k": 2}}


@pytest.mark.parametrize(("loss", "one_vs_rest"), [("cross_entropy", False), ("binary_cross_entropy", True)])
def test_probabilities_are_those_of_the_loss(loss: str, one_vs_rest: bool):
    predicted = make_predictions(config(f"loss={loss}"), SPEC, Outputs(OUTPUTS, TARGETS, 0.0))
    expected = OUTPUTS.sigmoid() if one_vs_rest else OUTPUTS.softmax(1)
    assert predicted.probabilities == pytest.approx((expected / expected.sum(1, keepdim=True)).numpy(), rel=1e-5)
    assert predicted.values.tolist() == [0, 1]


@pytest.mark.parametrize(("monitor", "names"), [("val/loss", ["accuracy"]), ("val/f1_macro", ["accuracy", "f1_macro"])])
def test_a_validation_computes_the_first_metric_and_the_monitored_one(monitor: str, names: list[str]):
    undefined: dict[str, str] = {}
    metrics = build_validation_metrics(config(f"train.monitor={monitor}"), SPEC, undefined)()
    metrics.add(OUTPUTS, TARGETS)
    assert sorted([*metrics.values(), *undefined]) == names


def test_a_trained_model_is_on_its_device_with_every_choice_made():
    small = config("model=simplenet", "device.threads=1")
    model, runtime = build_trained_model(small, SPEC, build_runtime(small))
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    assert runtime.precision == "fp32"
