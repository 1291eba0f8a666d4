"""A proposal is a function of the seed and the trials so far, and a search finds better values than chance does."""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Mapping

import pytest

from ptrun.config.search_space import Axis, Value
from ptrun.errors import ConfigError
from ptrun.sweeps.history import Outcome, Trial
from ptrun.sweeps.search import as_optuna, propose, require_libraries

LR = Axis("optimizer.lr", (), 1e-5, 1.0, log=True)
WIDTH = Axis("model.hidden", (), 4, 64, integer=True)
MODEL = Axis("model", ["convnet", "simplenet"])
DROPOUT = Axis("model.dropout", (), 0.0, 0.5, within=["convnet"])


def applies(one: Axis, point: Mapping[str, Value]) -> bool:
    return one.within is None or point.get(one.group) in one.within


def loss(point: Mapping[str, Value]) -> float:
    """Smallest at 0 for lr=0.01, hidden=32 and convnet."""
    lr = abs(math.log10(float(point.get("optimizer.lr", 0.01))) + 2)
    width = abs(float(point.get("model.hidden", 32)) - 32) / 32
    return lr + width + (point.get("model") == "simplenet")


def search(name: str, seed: int, number: int, *space: Axis) -> list[Trial]:
    """The trials of a whole search, one after the other."""
    trials: list[Trial] = []
    for index in range(number):
        proposal = propose(name, seed, space, applies, trials)
        value = loss(proposal.point)
        trials.append(Trial(index, proposal.point, Outcome.COMPLETE, value, False, 3, proposal.generation))
    return trials


def best(trials: list[Trial]) -> float:
    return min(trial.value for trial in trials if trial.value is not None)


@pytest.mark.parametrize("name", ["random", "tpe", "cmaes"])
def test_the_same_seed_and_trials_give_the_same_proposal(name: str):
    trials = search(name, 1, 15, LR, WIDTH, MODEL)
    assert trials == search(name, 1, 15, LR, WIDTH, MODEL)
    assert trials != search(name, 2, 15, LR, WIDTH, MODEL)
    again = propose(name, 1, (LR, WIDTH, MODEL), applies, trials[:14])
    assert again.point == trials[14].point
    assert propose(name, 1, (LR, WIDTH, MODEL), applies, trials[:14], attempt=1).point != again.point
    assert all(one.contains(trial.point[one.key]) for trial in trials for one in (LR, WIDTH, MODEL))


@pytest.mark.parametrize("name", ["tpe", "cmaes"])
def test_a_search_is_better_than_chance(name: str):
    found, drawn = ([best(search(kind, seed, 30, LR, WIDTH)) for seed in range(3)] for kind in (name, "random"))
    assert statistics.median(found) < statistics.median(drawn)


@pytest.mark.slow
def test_a_gaussian_process_needs_few_trials():
    assert best(search("gp", 0, 16, LR, WIDTH)) < best(search("random", 0, 16, LR, WIDTH))


def test_settings_that_a_component_lacks_have_no_value():
    trials = search("tpe", 0, 20, MODEL, DROPOUT)
    assert {trial.point["model"] for trial in trials} == {"convnet", "simplenet"}
    assert all(("model.dropout" in trial.point) is (trial.point["model"] == "convnet") for trial in trials)


def test_all_outcomes_are_taken_and_trials_of_other_values_are_passed_over():
    points: list[dict[str, Value]] = [{"optimizer.lr": 0.01}, {"optimizer.lr": 0.02}, {"optimizer.lr": 5.0}]
    trials = [Trial(n, points[n % 3], outcome, 0.1, True, 2, None) for n, outcome in enumerate(Outcome)]
    assert LR.contains(propose("tpe", 0, (LR,), applies, trials).point["optimizer.lr"])


def test_tpe_proposes_what_it_does_in_optunas_own_study():
    """A history holds of a pruned trial its last epoch only, and Optuna's study all of its epochs."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space, draw = (LR, WIDTH, MODEL), random.Random(0)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    trials: list[Trial] = []
    for number in range(30):
        point = propose("random", 0, space, applies, trials).point
        epochs = 9 if number == 0 else draw.choice((1, 3))  # so pruned trials are among the best three
        curve = [loss(point) + draw.random() / epoch for epoch in range(1, epochs + 1)]
        outcome = Outcome.COMPLETE if len(curve) == 9 else Outcome.PRUNED
        trials.append(Trial(number, point, outcome, curve[-1], False, len(curve), None))
        record = as_optuna(optuna, trials[-1], space, False)
        record.intermediate_values = dict(enumerate(curve, 1))
        study.add_trial(record)
    ours = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    ours.add_trials([as_optuna(optuna, trial, space, False) for trial in trials])
    for _ in range(5):
        pair = [asked.ask(record.distributions) for asked in (study, ours)]
        assert pair[0].params == pair[1].params


def test_several_objectives():
    names = ("val/accuracy", "parameters")
    trials: list[Trial] = []
    for index in range(30):
        point = propose("tpe", 0, (LR, WIDTH), applies, trials, 0, names).point
        values = (-loss({"optimizer.lr": point["optimizer.lr"]}), float(point["model.hidden"]))
        trials.append(Trial(index, point, Outcome.COMPLETE, 0.5, True, 3, None, values))
    widths = [float(trial.point["model.hidden"]) for trial in trials]
    assert statistics.median(widths[20:]) < statistics.median(widths[:10])
    failed = [Trial(30, {"optimizer.lr": 0.1, "model.hidden": 4}, Outcome.BAD, None, False, 0, None)]
    assert propose("tpe", 0, (LR, WIDTH), applies, [*trials, *failed], 0, names).point


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    require_libraries("cmaes")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"sweep=tpe: the package optuna is needed.* pip install \"ptrun\[search\]\""):
        require_libraries("tpe")
