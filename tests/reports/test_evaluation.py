from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ptrun.reports.curves import draw_training
from ptrun.reports.evaluation import draw_evaluation


def assert_picture(path: Path, least_width: int = 400) -> Image.Image:
    """A whole PNG that shows something; returns it."""
    with Image.open(path) as image:
        image.load()
        picture = image.convert("RGB")
    assert image.format == "PNG"
    assert least_width <= picture.width <= 2400
    assert picture.height >= 150
    assert len(picture.getcolors(maxcolors=1 << 24) or []) > 20  # axes and letters with soft edges
    return picture


def has_colour(picture: Image.Image, colour: str) -> bool:
    wanted = np.asarray([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return bool((np.abs(np.asarray(picture).astype(int) - wanted).max(axis=2) <= 3).any())


def write_records(run_dir: Path, epochs: int, *, val_every: int = 1, nan: Sequence[int] = (), tail: str = "") -> None:
    lines = []
    for epoch in range(1, epochs + 1):
        loss = 2.3 * math.exp(-10 * epoch / epochs)
        record: dict[str, Any] = {"epoch": epoch, "step": epoch * 10, "train/loss": None if epoch in nan else loss,
                                  "train/accuracy": 1 - loss / 3, "lr": 1e-3 / epoch, "best": False}  # fmt: skip
        if val_every and epoch % val_every == 0:
            record |= {"val/loss": math.nan if epoch in nan else 1.1 * loss, "val/accuracy": 1 - loss / 2, "best": True}
        lines.append(json.dumps(record) + "\n")
    (run_dir / "metrics.jsonl").write_text("".join(lines) + tail, encoding="utf-8")


@pytest.mark.parametrize("epochs", [1, 300])
def test_a_run_gets_three_pictures_of_its_curves(tmp_path: Path, epochs: int) -> None:
    write_records(tmp_path, epochs)
    written = draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "plots/loss.png", "plots/metrics.png", "plots/learning_rate.png",
    ]  # fmt: skip
    pictures = [assert_picture(path) for path in written]
    assert has_colour(pictures[0], "#0072B2")  # train
    assert has_colour(pictures[0], "#E69F00")  # validation
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(path.name for path in written)


def test_a_run_without_validation_has_no_validation_curve(tmp_path: Path) -> None:
    write_records(tmp_path, 5, val_every=0)
    picture = assert_picture(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")[0])
    assert has_colour(picture, "#0072B2")
    assert not has_colour(picture, "#E69F00")


@pytest.mark.parametrize(("epochs", "nan"), [(40, (5, 6, 30)), (2, (1, 2))])
def test_values_that_are_not_finite_are_marked(tmp_path: Path, epochs: int, nan: tuple[int, ...]) -> None:
    write_records(tmp_path, epochs, nan=nan, val_every=2)
    assert has_colour(assert_picture(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")[0]), "#C4312F")
    write_records(tmp_path, epochs, val_every=2)
    assert not has_colour(assert_picture(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")[0]), "#C4312F")


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    write_records(tmp_path, 3, tail='{"epoch": 4, "train/lo')
    assert len(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")) == 3


def test_a_run_without_records_gets_no_pictures(tmp_path: Path) -> None:
    assert draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots") == []
    write_records(tmp_path, 0)
    assert draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots") == []
    assert draw_evaluation(tmp_path, tmp_path / "plots") == []


def write_classes(folder: Path, size: int, names: Sequence[str] | None = None, mistakes: int = 1) -> None:
    matrix = np.eye(size, dtype=int) * 20
    matrix[0, 1] = mistakes
    matrix[-1] = 0  # the last class has no sample
    per_class: dict[str, Any] = {
        str(i): {"precision": 0.9, "recall": i / size, "f1": i / size, "support": 20} for i in range(size - 1)
    }
    per_class[str(size - 1)] = {"precision": None, "recall": None, "f1": None, "support": 0}
    document = {"split": "test", "num_samples": int(matrix.sum()), "task": "classification", "horizon": 0,
                "class_names": list(names or [f"class {i}" for i in range(size)]),
                "confusion_matrix": matrix.tolist(), "per_class": per_class}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("size", [2, 20, 100])
def test_classes_get_a_confusion_matrix_and_scores(tmp_path: Path, size: int) -> None:
    write_classes(tmp_path, size)
    matrix, scores = draw_evaluation(tmp_path, tmp_path / "plots")
    assert (matrix.name, scores.name) == ("confusion_matrix.png", "per_class.png")
    assert_picture(matrix)
    assert assert_picture(scores).height < 2400  # the worst 40 only


def test_class_names_may_hold_any_letters(tmp_path: Path) -> None:
    write_classes(tmp_path, 4, ["$x_1$ & {", "日本語", "é" * 80, ""])
    for path in draw_evaluation(tmp_path, tmp_path / "plots"):
        assert_picture(path)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (7, 3, 48, 20), (3, 3, 20, 48), (25, 4, 10, 10)])
def test_sample_images_with_a_mistake_are_framed_red(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_classes(tmp_path, 3)
    targets = np.zeros(shape[0], dtype=np.int64)
    images = np.full(shape, 128, dtype=np.uint8)
    for predicted, red in ((targets, False), (targets + 1, True)):
        confidence = np.full(shape[0], 0.8)
        np.savez(tmp_path / "samples.npz", images=images, targets=targets, predicted=predicted, confidence=confidence)
        written = draw_evaluation(tmp_path, tmp_path / "plots")
        assert written[-1].name == "sample_predictions.png"
        assert has_colour(assert_picture(written[-1]), "#C4312F") == red


def write_numbers(folder: Path, samples: Sequence[str], names: Sequence[str], horizon: int) -> None:
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", *(f"{kind}_{name}" for name in names for kind in ("target", "predicted"))])
        for i, sample in enumerate(samples):
            writer.writerow([sample, *([math.sin(i / 20), math.sin(i / 20) + 0.1 * (-1) ** i] * len(names))])
    document = {"split": "test", "num_samples": len(samples), "task": "regression", "metrics": {"rmse": 0.1},
                "baselines": {"last value": {"rmse": 0.3}}, "target_names": list(names), "horizon": horizon}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("samples", "names", "horizon"),
    [
        (["row 1"], ["t"], 1),
        ([f"rows {i} to {i + 6}" for i in range(2000)], [f"t+{i}" for i in range(7)], 7),
        ([f"2020-01-{i:02}" for i in range(1, 32)] * 3, ["a", "b", "c", "$d$", "e"], 1),
        (["same"] * 70, ["t"], 1),
    ],
)
def test_a_forecast_is_drawn_against_the_truth(
    tmp_path: Path, samples: list[str], names: list[str], horizon: int
) -> None:
    write_numbers(tmp_path, samples, names, horizon)
    (path,) = draw_evaluation(tmp_path, tmp_path / "plots")
    assert path.name == "forecast.png"
    picture = assert_picture(path)
    assert has_colour(picture, "#E69F00")
    assert picture.height <= 120 * 13  # four panels at most


@pytest.mark.parametrize(("count", "targets"), [(1, 1), (80, 1), (3000, 6)])
def test_other_numbers_are_drawn_over_their_true_values(tmp_path: Path, count: int, targets: int) -> None:
    write_numbers(tmp_path, [f"row {i}" for i in range(count)], [f"y{i}" for i in range(targets)], 0)
    (path,) = draw_evaluation(tmp_path, tmp_path / "plots")
    assert path.name == "predicted_vs_true.png"
    assert_picture(path)


def test_drawing_needs_neither_torch_nor_pyplot_and_importing_needs_no_matplotlib(tmp_path: Path) -> None:
    write_records(tmp_path, 2)
    program = (
        "import sys; from pathlib import Path\n"
        "from ptrun.reports.curves import draw_training; from ptrun.reports.evaluation import draw_evaluation\n"
        "early = 'matplotlib' in sys.modules; folder = Path(sys.argv[1])\n"
        "draw_training(folder / 'metrics.jsonl', folder / 'plots')\n"
        "print(early, 'torch' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
