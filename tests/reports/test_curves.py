"""The curves of a run are drawn from its records, with all their gaps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import assert_picture, has_color

from ptrun.reports.curves import draw_training


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
    assert has_color(pictures[0], "#0072B2")  # train
    assert has_color(pictures[0], "#E69F00")  # validation
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(path.name for path in written)


def test_a_run_without_validation_has_no_validation_curve(tmp_path: Path) -> None:
    write_records(tmp_path, 5, val_every=0)
    picture = assert_picture(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")[0])
    assert has_color(picture, "#0072B2")
    assert not has_color(picture, "#E69F00")


@pytest.mark.parametrize(("epochs", "nan"), [(40, (5, 6, 30)), (2, (1, 2))])
def test_values_that_are_not_finite_are_marked(tmp_path: Path, epochs: int, nan: tuple[int, ...]) -> None:
    write_records(tmp_path, epochs, nan=nan, val_every=2)
    assert has_color(assert_picture(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")[0]), "#C4312F")
    write_records(tmp_path, epochs, val_every=2)
    assert not has_color(assert_picture(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")[0]), "#C4312F")


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    write_records(tmp_path, 3, tail='{"epoch": 4, "train/lo')
    assert len(draw_training(tmp_path / "metrics.jsonl", tmp_path / "plots")) == 3


def test_a_run_without_records_gets_no_pictures(tmp_path: Path) -> None:
    records_file = tmp_path / "metrics.jsonl"
    assert draw_training(records_file, tmp_path / "plots") == []
    records_file.touch()
    assert draw_training(records_file, tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()
