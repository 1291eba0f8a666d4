"""Which choices go together, from the first lines of YAML files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ptrun.config.compatibility import (
    fits,
    given_by,
    layout_of,
    model_problem,
    task_of,
    task_problems,
    transform_problem,
    views_problem,
)
from ptrun.config.run_config import Component

IMAGES = ("image", "classification")


def test_a_dataset_declares_what_it_gives(tmp_path: Path):
    assert given_by(Component("digits")) == IMAGES
    assert given_by(Component("no_such_dataset")) == ()
    assert (layout_of(IMAGES), task_of(IMAGES)) == ("image", "classification")
    assert (layout_of(()), task_of(())) == (None, None)


def test_the_header_of_an_npz_file_decides_between_layouts(tmp_path: Path):
    assert len([word for word in given_by(Component("arrays")) if word in ("image", "vector", "sequence")]) > 1
    path = tmp_path / "images.npz"
    np.savez(path, inputs=np.zeros((4, 3, 8, 8), np.uint8), targets=np.zeros(4, np.int64))
    assert layout_of(given_by(Component("arrays", {"path": str(path)}))) == "image"


def test_a_model_for_another_layout_or_task():
    assert fits("convnet", IMAGES)
    assert model_problem("convnet", "digits", IMAGES) is None
    assert model_problem("lstm", "unknown", ()) is None
    problem = model_problem("lstm", "digits", IMAGES) or ""
    assert problem.startswith("model: 'lstm' reads sequences [time, features], but dataset 'digits' gives images")
    assert "Models that fit: " in problem
    assert "convnet" in problem.partition("Models that fit: ")[2]
    problem = model_problem("dlinear", "gunpoint", ("sequence", "classification")) or ""
    assert "'dlinear' is for regression, but dataset 'gunpoint' is classification" in problem


def test_image_transforms_of_other_samples():
    assert transform_problem(Component("auto", {"train": "auto"}), "iris", ("vector", "classification")) is None
    assert transform_problem(Component("basic", {"train": []}), "digits", IMAGES) is None
    problem = transform_problem(Component("basic", {"train": []}), "iris", ("vector", "classification"))
    assert problem == "transform: 'basic' changes images, but dataset 'iris' gives a vector. Use transform=auto."


def test_views_are_of_images():
    assert views_problem("flip", IMAGES) is None
    assert views_problem("one", ("vector",)) is None
    assert "train.eval_views: 'flip' mirrors images" in (views_problem("flip", ("vector",)) or "")


def test_losses_and_metrics_of_another_task():
    assert task_problems(IMAGES, "digits", "cross_entropy", [{"accuracy": {}}], "val/accuracy") == []
    assert task_problems((), "mine", "mse", [{"rmse": {}}], "val/rmse") == []
    problems = task_problems(IMAGES, "digits", "mse", [{"rmse": {}}], "val/mae")
    assert [problem.partition(":")[0] for problem in problems] == ["loss", "metrics", "train.monitor"]
    assert "What fits: auto, binary_cross_entropy, cross_entropy." in problems[0]
