from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from torch import nn
from torch.optim import SGD, lr_scheduler

from ptrun.errors import ConfigError
from ptrun.optim.schedules import Schedule, build_schedule
from ptrun.registry import schedulers

STEPS, EPOCHS = 4, 10


def sgd(*rates: float) -> SGD:
    return SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.3,)])


def make(name: str, settings: dict[str, Any] | None = None, optimizer: SGD | None = None, **more: Any) -> Schedule:
    runtime: dict[str, Any] = {"steps_per_epoch": STEPS, "total_epochs": EPOCHS, **more}
    return build_schedule(name, settings or {}, optimizer or sgd(), **runtime)


def rates(schedule: Schedule, total: int = STEPS * EPOCHS) -> list[float]:
    """The learning rate of each step, and the one after the last."""
    collected = []
    for done in range(total + 1):
        schedule.step(done)
        collected.append(schedule.optimizer.param_groups[0]["lr"])
    return collected


def torch_rates(optimizer: SGD, scheduler: Any, every: int = 1, total: int = STEPS * EPOCHS) -> list[float]:
    collected = [optimizer.param_groups[0]["lr"]]
    for done in range(1, total + 1):
        optimizer.step()
        if done % every == 0:
            scheduler.step()
        collected.append(optimizer.param_groups[0]["lr"])
    return collected


def test_none_leaves_the_learning_rate_alone() -> None:
    assert set(rates(make("none", optimizer=sgd(0.1)))) == {0.1}


@pytest.mark.parametrize("min_factor", [0.0, 0.1])
def test_cosine_equals_torch(min_factor: float) -> None:
    optimizer = sgd()
    reference = lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS * EPOCHS, eta_min=0.3 * min_factor)
    expected = torch_rates(optimizer, reference)
    assert rates(make("cosine", {"min_factor": min_factor})) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_polynomial_equals_torch(power: float) -> None:
    optimizer = sgd()
    expected = torch_rates(optimizer, lr_scheduler.PolynomialLR(optimizer, total_iters=STEPS * EPOCHS, power=power))
    assert rates(make("polynomial", {"power": power})) == pytest.approx(expected, abs=1e-9)


def test_step_equals_torch_and_changes_at_epoch_ends() -> None:
    optimizer = sgd()
    expected = torch_rates(optimizer, lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.2), every=STEPS)
    assert rates(make("step", {"step_epochs": 3, "gamma": 0.2})) == pytest.approx(expected)


def test_multistep_equals_torch() -> None:
    optimizer = sgd()
    expected = torch_rates(optimizer, lr_scheduler.MultiStepLR(optimizer, [2, 5, 5], gamma=0.5), every=STEPS)
    assert rates(make("multistep", {"milestones_epochs": [2, 5, 5], "gamma": 0.5})) == pytest.approx(expected)


def test_exponential_equals_torch() -> None:
    optimizer = sgd()
    expected = torch_rates(optimizer, lr_scheduler.ExponentialLR(optimizer, gamma=0.8), every=STEPS)
    assert rates(make("exponential", {"gamma": 0.8})) == pytest.approx(expected)


@pytest.mark.parametrize("pct_start", [0.3, 0.5, 1.0])
def test_one_cycle_equals_torch(pct_start: float) -> None:
    optimizer, total = sgd(), STEPS * EPOCHS
    reference = lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.3, total_steps=total, pct_start=pct_start, cycle_momentum=False, div_factor=10.0
    )
    expected = torch_rates(optimizer, reference, total=total - 1)
    mine = rates(make("one_cycle", {"pct_start": pct_start, "div_factor": 10.0}), total=total - 1)
    assert mine == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize(("patience", "cooldown"), [(0, 0), (1, 0), (2, 2)])
def test_plateau_equals_torch(better: Literal["lower", "higher"], patience: int, cooldown: int) -> None:
    values = [5.0, 4.0, 4.0, 4.1, 4.2, 3.0, 2.9999, 3.1, 3.1, 3.1, 3.1, math.nan, 3.1, 3.1, 1.0, 2.0, 2.0, 2.0]
    values = values if better == "lower" else [10 - value for value in values]
    optimizer = sgd()
    reference = lr_scheduler.ReduceLROnPlateau(
        optimizer, "min" if better == "lower" else "max", factor=0.5, patience=patience, cooldown=cooldown, min_lr=0.03
    )
    settings = {"factor": 0.5, "patience_epochs": patience, "cooldown_epochs": cooldown, "min_factor": 0.1}
    mine = make("plateau", settings, better=better, total_epochs=len(values))
    for epoch, value in enumerate(values, start=1):
        reference.step(value)
        mine.observe(value, epoch)
        mine.step(epoch * STEPS)
        assert mine.optimizer.param_groups[0]["lr"] == pytest.approx(optimizer.param_groups[0]["lr"]), epoch


def test_plateau_counts_epochs_not_validations() -> None:
    schedule = make("plateau", {"patience_epochs": 3, "factor": 0.5})
    collected = []
    for epoch in (2, 4, 6):
        schedule.observe(1.0, epoch)
        schedule.step(epoch * STEPS)
        collected.append(schedule.optimizer.param_groups[0]["lr"])
    assert collected == pytest.approx([0.3, 0.3, 0.15])


def test_plateau_with_negative_values_needs_a_real_improvement() -> None:
    schedule = make("plateau", {"patience_epochs": 0, "factor": 0.5, "threshold": 0.1}, better="higher")
    for epoch, value in ((1, -1.0), (2, -0.95)):  # 5 % better: not enough
        schedule.observe(value, epoch)
    schedule.step(2 * STEPS)
    assert schedule.optimizer.param_groups[0]["lr"] == pytest.approx(0.15)


def test_plateau_state_is_plain_and_restores() -> None:
    settings = {"patience_epochs": 0, "factor": 0.5}
    first = make("plateau", settings)
    for epoch in (1, 2, 3):
        first.observe(1.0, epoch)
    state = first.state_dict()
    assert all(value is None or type(value) in (int, float) for value in state.values())
    second = make("plateau", settings)
    second.load_state_dict(state)
    for schedule in (first, second):
        schedule.observe(1.0, 4)
        schedule.step(4 * STEPS)
    assert first.optimizer.param_groups[0]["lr"] == second.optimizer.param_groups[0]["lr"] == pytest.approx(0.3 / 8)
    assert first.state_dict() == second.state_dict() != state


@pytest.mark.parametrize("name", sorted(schedulers))
def test_warmup_rises_linearly(name: str) -> None:
    settings = {"warmup_epochs": 2.0, "warmup_start_factor": 0.2}
    plain = schedule_start(name)
    expected = [plain * 0.3 * (0.2 + 0.8 * done / 8) for done in range(8)]
    if name == "exponential":
        expected = [rate * (0.95 if done >= STEPS else 1) for done, rate in enumerate(expected)]
    assert rates(make(name, settings))[:8] == pytest.approx(expected)


def schedule_start(name: str) -> float:
    return 1 / 25 if name == "one_cycle" else 1.0


def test_after_the_warmup_cosine_fills_the_rest() -> None:
    warmed = rates(make("cosine", {"warmup_epochs": 2.0}))
    short = rates(make("cosine", total_epochs=EPOCHS - 2), total=STEPS * (EPOCHS - 2))
    assert warmed[8:] == pytest.approx(short)
    assert warmed[-1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", sorted(schedulers))
def test_factors_stay_finite_beyond_the_end_and_in_tiny_runs(name: str) -> None:
    for epochs, warmup in ((0.25, 0.0), (1, 0.0), (2, 2.0), (1, 3.0), (3, 1.0)):
        schedule = make(name, {"warmup_epochs": warmup}, total_epochs=epochs, steps_per_epoch=4)
        assert all(0 <= rate <= 0.3 for rate in rates(schedule, total=20)), (epochs, warmup)


def test_groups_keep_their_ratio() -> None:
    schedule = make("cosine", optimizer=sgd(0.1, 0.01))
    schedule.step(13)
    first, second = schedule.optimizer.param_groups
    assert 0 < first["lr"] < 0.1
    assert first["lr"] / second["lr"] == pytest.approx(10)


def test_initial_rates_survive_restoring_the_optimizer() -> None:
    before = make("cosine")
    before.step(20)
    after = make("cosine")
    after.optimizer.load_state_dict(before.optimizer.state_dict())
    after.step(20)
    assert after.optimizer.param_groups[0]["lr"] == before.optimizer.param_groups[0]["lr"]
    foreign = sgd()
    foreign.param_groups[0]["lr"] = 0.001
    after.optimizer.load_state_dict(foreign.state_dict())
    after.step(0)
    assert after.optimizer.param_groups[0]["lr"] == 0.3


def test_a_warmup_longer_than_the_training_is_noted() -> None:
    [note] = make("cosine", {"warmup_epochs": 12.0}).notes
    assert note == (
        "scheduler.warmup_epochs=12 is not below the length of the training in epochs (10), "
        "so the learning rate never reaches its full value."
    )
    assert make("cosine", {"warmup_epochs": 2.0}).notes == ()


def test_mistakes_are_reported() -> None:
    with pytest.raises(ConfigError, match=r"scheduler\.gama: .*Did you mean 'gamma'"):
        make("step", {"gama": 0.1})
    with pytest.raises(ConfigError, match=r"scheduler\.total_epochs is given by the program"):
        make("cosine", {"total_epochs": 3})
    with pytest.raises(ConfigError, match=r"There is no scheduler 'cosin'\. Did you mean 'cosine'"):
        make("cosin")
