"""A run ends early when others were better after as many epochs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ptrun.config.sweep import as_settings
from ptrun.engine.progress import Standing
from ptrun.runs.folder import RunDir
from ptrun.sweeps.pruning import Pruner, promoted


def curves(folder: Path, **values: list[float]) -> None:
    """The metrics of other jobs: their accuracy by epoch."""
    for name, curve in values.items():
        path = folder / name.lstrip("j")
        path.mkdir(exist_ok=True)
        records = [{"epoch": epoch, "step": epoch, "val/accuracy": value} for epoch, value in enumerate(curve, 1)]
        (path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def reason(
    folder: Path, value: float | None, epoch: int, pruner: str = "asha", number: int = 0, **settings: int
) -> str:
    now = Standing("val/accuracy", value, True, epoch, 27)
    return Pruner(as_settings({"pruner": pruner, **settings}), folder, "me", number).why_prune(now)


def test_asha_lets_the_best_third_go_on(tmp_path: Path):
    curves(tmp_path, j1=[0.9, 0.9, 0.9], j2=[0.8], j3=[0.7, 0.7, 0.7], j4=[0.6], j5=[0.5])
    assert reason(tmp_path, 0.85, 1) == ""
    assert "after epoch 1: val/accuracy 75.00 %, which is place 3 of 6; 2 go on" in reason(tmp_path, 0.75, 1)
    curves(tmp_path, me=[0.1])
    assert reason(tmp_path, 0.1, 2) == ""  # no epoch at which runs are compared
    assert "place 2 of 3; 1 goes on" in reason(tmp_path, 0.8, 3)
    assert reason(tmp_path, 0.1, 9) == ""  # nobody else has come as far


def test_the_best_value_so_far_counts(tmp_path: Path):
    curves(tmp_path, j1=[0.9, 0.1, 0.2])
    assert "place 2 of 2" in reason(tmp_path, 0.8, 3)


def test_a_comparison_between_two_validations_is_made_up_for(tmp_path: Path):
    curves(tmp_path, j1=[0.9] * 4, me=[0.1, 0.1])
    assert "place 2 of 2" in reason(tmp_path, 0.1, 4)
    assert reason(tmp_path, 0.1, 5) == ""


def test_the_first_epochs_can_be_left_to_each_run(tmp_path: Path):
    curves(tmp_path, j1=[0.9] * 9)
    assert reason(tmp_path, 0.1, 1, min_epochs=2) == ""
    assert reason(tmp_path, 0.1, 2, min_epochs=2) != ""
    assert reason(tmp_path, 0.1, 4, min_epochs=2, reduction_factor=2) != ""


def test_median(tmp_path: Path):
    curves(tmp_path, j1=[0.9, 0.9], j2=[0.8, 0.8], j3=[0.7, 0.7], j4=[0.6, 0.6], j5=[0.5])
    assert "val/accuracy 65.00 %, the median of 5 others 70.00 %" in reason(tmp_path, 0.65, 1, "median")
    assert reason(tmp_path, 0.7, 1, "median") == ""
    assert reason(tmp_path, 0.1, 2, "median") == ""  # four others are too few


def test_hyperband_compares_some_jobs_later_and_among_themselves(tmp_path: Path):
    curves(tmp_path, j4=[0.9] * 9, j8=[0.8] * 9)
    assert "place 3 of 3" in reason(tmp_path, 0.1, 1, "hyperband", number=0)
    assert [reason(tmp_path, 0.1, epoch, "hyperband", number=1) for epoch in (1, 3)] == ["", ""]
    curves(tmp_path, j5=[0.7] * 9)
    assert "place 2 of 2" in reason(tmp_path, 0.1, 3, "hyperband", number=1)


@pytest.mark.parametrize(("pruner", "value"), [("none", 0.1), ("asha", None)])
def test_nothing_is_pruned_without_a_pruner_or_a_value(tmp_path: Path, pruner: str, value: float | None):
    curves(tmp_path, j1=[0.9])
    assert reason(tmp_path, value, 1, pruner) == ""


def repetitions(folder: Path, **jobs: str) -> None:
    """What the jobs are: their overrides."""
    for name, text in jobs.items():
        (folder / name.lstrip("j")).mkdir(exist_ok=True)
        (folder / name.lstrip("j") / "job.json").write_text(json.dumps({"overrides": text.split()}))


@pytest.mark.parametrize("pruner", ["asha", "median"])
def test_the_first_run_of_a_configuration_is_compared_and_the_others_go_with_it(tmp_path: Path, pruner: str):
    curves(tmp_path, **{f"j{name}": [0.9] for name in (0, 1, 2, 3, 4, 5, 6)})
    repetitions(tmp_path, **{f"j{name}": f"lr=0.1 seed={name}" for name in range(6)}, j6="lr=0.3 seed=0")
    repetitions(tmp_path, j7="lr=0.2 seed=0", j8="lr=0.2 seed=1")
    now = Standing("val/accuracy", 0.8, True, 1, 27)
    first, second = (Pruner(as_settings({"pruner": pruner}), tmp_path, name, int(name)) for name in "78")
    if pruner == "asha":
        assert "which is place 3 of 3" in first.why_prune(now)  # with one run of each other configuration
    else:
        assert first.why_prune(now) == ""  # two others are too few
    assert second.why_prune(now) == ""
    RunDir(tmp_path / "7").write_status("pruned")
    assert second.why_prune(now) == "pruned after epoch 1, as run 7 of the same configuration was"


def test_asha_promotes_what_is_among_the_best_after_all(tmp_path: Path):
    curves(tmp_path, j0=[0.8], j1=[0.9, 0.95, 0.95], j2=[0.7])
    for name, value in (("0", 0.8), ("2", 0.7)):
        RunDir(tmp_path / name).write_status("pruned")
        summary = {"monitor": "val/accuracy", "best_value": value, "higher_is_better": True, "epochs": 1}
        (tmp_path / name / "summary.json").write_text(json.dumps(summary))
    asha = as_settings({"pruner": "asha"})
    assert promoted(asha, tmp_path, "012") == []
    curves(tmp_path, j3=[0.1], j4=[0.2], j5=[0.3])
    assert promoted(asha, tmp_path, "012") == ["0"]  # second of six
    assert promoted(as_settings({"pruner": "median"}), tmp_path, "012") == []
    RunDir(tmp_path / "0").write_status("running")
    assert promoted(asha, tmp_path, "012") == []


def test_asha_prunes_what_optunas_successive_halving_prunes(tmp_path: Path):
    """One run after the other, of 40 random curves. Optuna never continues a pruned one."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    draw = random.Random(0)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.SuccessiveHalvingPruner(1, 3))
    lengths = []
    for number in range(40):
        trial, values, why = study.ask(), [], ""
        while len(values) < 9 and not why:
            values.append(max([*values, draw.random()]))  # the best so far
            trial.report(values[-1], len(values))
            why = reason(tmp_path, values[-1], len(values))
            assert bool(why) is trial.should_prune(), (number, values, why)
            curves(tmp_path, me=values)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED if why else None, values=None if why else values[-1])
        (tmp_path / "me").rename(tmp_path / str(number))
        lengths.append(len(values))
    assert set(lengths) == {1, 3, 9}
