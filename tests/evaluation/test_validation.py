"""The metrics of a validation equal those of all its outputs at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.evaluation.validation import make_validation_metrics
from ptrun.metrics import compute
from ptrun.metrics.predictions import to_predictions
from ptrun.spec import DataSpec, Layout, Task

assert catalog.MODULES  # importing it filled the registries

SPEC = DataSpec(
    layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(4,), num_outputs=3, class_names=("a", "b", "c")
)


def batches(classes: int = 3) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(size, 3, generator=generator), torch.randint(0, classes, (size,), generator=generator))
        for size in (16, 16, 5)
    ]


@pytest.mark.parametrize("monitored", [None, "accuracy", "f1_macro", "top_k"])
@pytest.mark.parametrize("one_vs_rest", [False, True])
def test_batches_give_what_all_samples_give(monitored: str | None, one_vs_rest: bool):
    settings = {"top_k": {"k": 2}}
    undefined: dict[str, str] = {}
    start = make_validation_metrics(
        SPEC, monitored=monitored, settings=settings, one_vs_rest=one_vs_rest, undefined=undefined
    )
    names = dict.fromkeys(["accuracy", *([monitored] if monitored else [])])
    outputs, targets = (torch.cat(parts) for parts in zip(*batches(), strict=True))
    expected, _ = compute.compute(names, to_predictions(SPEC, outputs, targets, one_vs_rest), settings)
    for _ in range(2):  # each validation starts anew
        metrics = start()
        for batch in batches():
            metrics.add(*batch)
        assert metrics.values() == pytest.approx(expected)
    assert undefined == {}


def test_a_metric_without_a_value_gives_its_reason():
    undefined: dict[str, str] = {}
    metrics = make_validation_metrics(SPEC, monitored="roc_auc", settings={}, one_vs_rest=False, undefined=undefined)()
    for batch in batches(classes=1):
        metrics.add(*batch)
    assert list(metrics.values()) == ["accuracy"]
    assert list(undefined) == ["roc_auc"]
