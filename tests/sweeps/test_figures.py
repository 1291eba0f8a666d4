"""What the figures show is read from the folders of the jobs, and those that make sense are drawn."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from support import make_sweep

from ptrun.runs.folder import RunDir
from ptrun.sweeps import figures
from ptrun.sweeps.leaderboard import all_rows

GRID = [f"optimizer.lr={lr} model={model} seed={seed}" for lr, model, seed in itertools.product(
    ("0.001", "0.01", "0.1"), ("convnet", "simplenet"), (0, 1))]  # fmt: skip


def test_a_grid_with_seeds(tmp_path: Path):
    values = [0.5 + number / 100 for number in range(len(GRID) - 1)]
    sweep = make_sweep(tmp_path / "sw", GRID, [*values, None])
    data = figures.read(sweep, all_rows(sweep))
    assert data is not None
    assert [(axis.key, axis.is_log, list(axis.values)) for axis in data.axes] == [
        ("optimizer.lr", True, [0.001, 0.01, 0.1]), ("model", False, ["convnet", "simplenet"]),
    ]  # fmt: skip
    assert [len(point.values) for point in data.points] == [1, 2, 2, 2, 2, 2]
    assert data.points[0].settings == {"optimizer.lr": 0.1, "model": "simplenet"}
    assert [curve.job for curve in data.curves if curve.is_best] == ["10"]
    assert data.importance is not None
    assert next(iter(data.importance.shares)) == "optimizer.lr"


def test_figures_that_make_no_sense_any_more_are_removed(tmp_path: Path):
    sweep = make_sweep(tmp_path / "sw", GRID, [0.5 + number / 100 for number in range(len(GRID))])
    (sweep / "plots").mkdir()
    (sweep / "plots" / "pareto.svg").touch()
    names = [path.name for path in figures.draw(sweep, all_rows(sweep))]
    assert names == ["by_setting.svg", "heat_map.svg", "importance.svg", "learning_curves.svg"]
    assert sorted(path.name for path in (sweep / "plots").iterdir()) == sorted(names)


def test_pruned_jobs_and_axes_that_the_command_calls_logarithmic(tmp_path: Path):
    jobs = [f"optimizer.lr={lr}" for lr in ("0.1", "0.2", "0.3", "x")]
    sweep = make_sweep(tmp_path / "sw", jobs[:3], [0.5, 0.6, 0.7], overrides=["optimizer.lr=tag(log,interval(0.1,1))"])
    RunDir(sweep / "1").write_status("pruned")
    data = figures.read(sweep, all_rows(sweep))
    assert data is not None
    assert data.axes[0].is_log
    assert [(point.jobs[0], point.is_pruned) for point in data.points] == [("2", False), ("0", False), ("1", True)]
    assert [curve.is_pruned for curve in data.curves] == [False, True, False]


def test_objectives(tmp_path: Path):
    names = ["val/accuracy", "parameters"]
    sweep = make_sweep(tmp_path / "sw", ["model=a", "model=b"], [0.5, 0.6], objectives=names)
    data = figures.read(sweep, all_rows(sweep))
    assert data is not None
    assert data.objectives is not None
    assert (data.objectives.names, data.objectives.front) == (names, ["1"])
    assert data.objectives.values["0"] == pytest.approx([0.5, 10])


def test_each_objective_has_figures_of_its_own(tmp_path: Path):
    names, jobs = ["val/accuracy", "parameters", "training_seconds"], GRID[::2]
    sweep = make_sweep(tmp_path / "sw", jobs, [0.5 + number / 100 for number in range(len(jobs))], objectives=names)
    for number in range(len(jobs)):
        summary = json.loads((sweep / str(number) / "summary.json").read_text(encoding="utf-8"))
        summary |= {"parameters": 1000 * (number + 1), "training_seconds": 9.0 - number}
        RunDir(sweep / str(number)).write_json("summary.json", summary)
    RunDir(sweep / "0").write_status("failed")
    plots = sweep / "plots"
    plots.mkdir()
    for name in ("by_setting_peak_memory_bytes.svg", "mine.svg"):  # of objectives before these; of the user
        (plots / name).touch()
    drawn = [path.name for path in figures.draw(sweep, all_rows(sweep))]
    assert {"by_setting.svg", "heat_map.svg", "pareto.svg", "importance.svg"} <= set(drawn)
    assert {f"{name}_{of}.svg" for name in ("by_setting", "heat_map", "importance") for of in names[1:]} <= set(drawn)
    assert not any(name.endswith("accuracy.svg") for name in drawn), "it is monitored, so it has its figures"
    assert sorted(path.name for path in plots.iterdir()) == sorted([*drawn, "mine.svg"])
    assert "Parameters by setting: 2,000 at best" in (plots / "by_setting_parameters.svg").read_text(encoding="utf-8")
    page = (plots / "by_setting_training_seconds.svg").read_text(encoding="utf-8")
    assert "Training time by setting: 4.00 s at best" in page


def test_the_metric_that_is_compared_has_a_figure_of_its_own(tmp_path: Path):
    values = [0.5 + number / 100 for number in range(len(GRID))]
    sweep = make_sweep(tmp_path / "sw", GRID, values, compare_by="test/accuracy")
    assert "compared.svg" in [path.name for path in figures.draw(sweep, all_rows(sweep))]
    assert "Test accuracy by setting" in (sweep / "plots" / "compared.svg").read_text(encoding="utf-8")


def test_nothing_is_done_yet(tmp_path: Path):
    sweep = make_sweep(tmp_path / "sw", ["seed=0", "seed=1"], [None, None])
    assert figures.read(sweep, all_rows(sweep)) is None
    assert figures.draw(sweep, all_rows(sweep)) == []
