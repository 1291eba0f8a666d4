"""The plans of mixup and cutmix: weights, boxes, and targets by area."""

from __future__ import annotations

from typing import Any

import pytest

from ptrun import catalog
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.transforms.transform import MixTransform

assert catalog.MODULES


def make(name: str, settings: dict[str, Any]) -> Any:
    return image_transforms.build(name, settings)


def sample_rng(count: int, seed: int = 0) -> SampleRng:
    return SampleRng.of(seed, 0, list(range(count)))


def plans(name: str, settings: dict[str, Any], count: int = 4000) -> Any:
    transform = make(name, settings)
    assert isinstance(transform, MixTransform)
    return transform.plan(sample_rng(count), 32, 24)


def test_mixup_draws_its_weights_from_the_beta_distribution() -> None:
    even, strong, never = (plans("mixup", settings)[0] for settings in ({"alpha": 1.0}, {"alpha": 0.1}, {"p": 0.0}))
    assert even.mean() == pytest.approx(0.5, abs=0.02)
    assert even.var() == pytest.approx(1 / 12, abs=0.004)
    assert strong.var() == pytest.approx(1 / (4 * 1.2), abs=0.01)
    assert (never == 1).all()


def test_cutmix_weighs_targets_by_the_pasted_area() -> None:
    weight, own, top, bottom, left, right = plans("cutmix", {"p": 0.5})
    assert (own == 1).all()
    assert weight == pytest.approx(1 - (bottom - top) * (right - left) / (32 * 24))
    assert 0.4 < (weight < 1).mean() < 0.55
    assert ((top >= 0) & (bottom <= 32) & (left >= 0) & (right <= 24)).all()
