"""Sweeps as their figures see them: a grid with seeds, a search with a setting of one model, several objectives."""

from __future__ import annotations

import itertools
import math

import pytest

from ptrun.reports.sweep.data import Axis, Curve, Importance, Objectives, Point, Setting, SweepData

RATES = (0.0001, 0.01, 1.0)


def _curve(point: Point, job: str, *, best: bool) -> Curve:
    epochs = list(range(1, 3 if point.is_pruned else 7))
    values = [point.mean * (1 - math.exp(-epoch)) for epoch in epochs]
    return Curve(job, point.settings, epochs, values, point.is_pruned, best)


def _with_curves(points: list[Point], axes: list[Axis], shares: dict[str, float]) -> SweepData:
    points.sort(key=lambda point: (point.is_pruned, -point.mean))
    curves = [_curve(point, job, best=point is points[0]) for point in points for job in point.jobs]
    return SweepData("val/accuracy", True, axes, points, curves, Importance(shares, "Share of the variance", "A note."))


@pytest.fixture
def grid() -> SweepData:
    """Three learning rates and two models, three seeds each; 0.01 and convnet are best."""
    points = []
    for number, (rate, model) in enumerate(itertools.product(RATES, ("convnet", "simplenet"))):
        mean = 0.9 - 0.1 * abs(math.log10(rate) + 2) - 0.05 * (model == "simplenet")
        jobs = [str(3 * number + seed) for seed in range(3)]
        points.append(Point({"optimizer.lr": rate, "model": model}, [mean - 0.01, mean, mean + 0.01], jobs))
    axes = [Axis("optimizer.lr", RATES, True), Axis("model", ["convnet", "simplenet"])]
    return _with_curves(points, axes, {"optimizer.lr": 0.7, "model": 0.2})


@pytest.fixture
def search() -> SweepData:
    """Twenty configurations of three axes, of which a third is pruned, and the dropout is one of convnet's alone."""
    points = []
    for number in range(20):
        rate = 10 ** (-4 + 0.2 * number)
        settings: dict[str, Setting] = {"optimizer.lr": rate, "model": ("convnet", "simplenet")[number % 2]}
        if number % 2 == 0:
            settings["model.dropout"] = 0.02 * number
        value = 0.9 - 0.1 * abs(math.log10(rate) + 2)
        points.append(Point(settings, [value], [str(number)], is_pruned=number % 3 == 2))
    rates = sorted(float(point.settings["optimizer.lr"]) for point in points)
    dropouts = [0.04 * number for number in range(10)]
    axes = [Axis("optimizer.lr", rates, True), Axis("model", ["convnet", "simplenet"]), Axis("model.dropout", dropouts)]
    return _with_curves(points, axes, {"optimizer.lr": 0.9, "model": 0.05, "model.dropout": 0.0})


@pytest.fixture
def objectives() -> SweepData:
    """Four runs by accuracy and number of parameters, of which one is beaten by another."""
    values = {"0": (0.9, 1000.0), "1": (0.8, 100.0), "2": (0.7, 500.0), "3": (0.95, 90000.0)}
    points = [Point({"model": job}, [value[0]], [job]) for job, value in values.items()]
    several = Objectives(["val/accuracy", "parameters"], [True, False], values, ["0", "1", "3"])
    return SweepData("val/accuracy", True, [Axis("model", list(values))], points, objectives=several)
