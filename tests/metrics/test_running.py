"""The metrics of a validation, added up batch by batch, are those of all predictions at once."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from ptrun import catalog
from ptrun.build.run import build
from ptrun.config.auto import resolve_auto
from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.errors import DataError
from ptrun.metrics.compute import compute
from ptrun.metrics.predictions import to_predictions
from ptrun.metrics.running import NAMES, RunningMetrics
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries


CLASSES = DataSpec(
    layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(4,), num_outputs=3, class_names=("a", "b", "c")
)
NUMBERS = DataSpec(layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(4,), num_outputs=2, target_names=("x", "y"))
SCALED = DataSpec(**{**NUMBERS.__dict__, "target_mean": (5.0, -300.0), "target_std": (0.25, 40.0)})
OF_NUMBERS = tuple(name for name in NAMES if name != "accuracy")


def batches(spec: DataSpec) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of 64, 64 and 3 samples."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(131, spec.num_outputs, generator=generator)
    targets = (
        torch.randint(0, 3, (131,), generator=generator)
        if spec is CLASSES
        else torch.randn(131, 2, generator=generator)
    )
    return list(zip(outputs.split(64), targets.split(64), strict=True))


@pytest.mark.parametrize(("spec", "names"), [(CLASSES, ("accuracy",)), (NUMBERS, OF_NUMBERS), (SCALED, OF_NUMBERS)])
def test_sums_equal_the_metrics_of_all_samples(spec: DataSpec, names: tuple[str, ...]):
    sums, parts = RunningMetrics(names, spec), batches(spec)
    for outputs, targets in parts:
        sums.add(outputs, targets)
    whole = to_predictions(spec, *(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
    expected, reasons = compute(names, whole)
    assert (sums.values()[1], reasons) == ({}, {})
    assert sums.values()[0] == pytest.approx(expected, rel=1e-12)
    assert spec is not CLASSES or sums.values()[0] == expected


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_outputs_that_are_no_finite_numbers_are_counted_by_sample(bad: float):
    sums, parts = RunningMetrics(("rmse", "mae"), NUMBERS), batches(NUMBERS)
    parts[0][0][3] = bad  # both numbers of one sample
    parts[2][0][1, 1] = bad
    for outputs, targets in parts:
        sums.add(outputs, targets)
    reason = "2 of 131 outputs are not finite numbers"
    assert sums.values() == ({}, {"rmse": reason, "mae": reason})


@pytest.mark.parametrize(("monitor", "keeps"), [("val/accuracy", False), ("val/loss", False), ("val/f1_macro", True)])
def test_outputs_are_kept_only_for_a_metric_that_needs_them_all(monitor: str, keeps: bool):
    measure = build(resolve_auto(load_config(Composer(), [f"train.monitor={monitor}"]).config)[0]).ctx.make_metrics()
    outputs = torch.eye(10)
    seen = weakref.ref(outputs)
    measure.add(outputs, torch.arange(10))
    del outputs
    gc.collect()
    assert (seen() is not None) == keeps
    assert set(measure.values().values()) == {1.0}


def test_outputs_of_another_number_are_refused_in_the_first_validation():
    with pytest.raises(DataError, match=r"Metrics need outputs \[samples, 3\]"):
        RunningMetrics(("accuracy",), CLASSES).add(torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(DataError, match=r"Metrics need outputs \[samples, 2\]"):
        RunningMetrics(("rmse",), NUMBERS).add(torch.zeros(4, 1), torch.zeros(4, 2))
