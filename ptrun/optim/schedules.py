"""Learning-rate schedules as functions of the point in training, in epochs.

The factor depends on the epoch alone (plateau: also on the observed values), so a resumed run needs no history. A
factor of 1 leaves the learning rate as it is, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal

from torch.optim import Optimizer

from ptrun.errors import ConfigError
from ptrun.registry import described, schedulers

Factor = Callable[[float], float]


class Schedule:
    """Sets the learning rate of each parameter group to its initial value times the factor of the current epoch.

    notes: sentences to show at the start of a run.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, optimizer: Optimizer, factor: Factor, steps_per_epoch: int) -> None:
        self.optimizer, self.factor, self.steps_per_epoch = optimizer, factor, steps_per_epoch
        self._initial = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]

    def step(self, optimizer_steps_done: int) -> None:
        """Set the learning rates for the optimizer step after the first `optimizer_steps_done`."""
        factor = self.factor(optimizer_steps_done / self.steps_per_epoch)
        for group, initial in zip(self.optimizer.param_groups, self._initial, strict=True):
            group["lr"] = group.setdefault("initial_lr", initial) * factor  # absent after loading a foreign state

    def observe(self, value: float, epoch: float) -> None:
        """Take the monitored value after `epoch` epochs; only plateau uses it."""
        if isinstance(self.factor, Plateau):
            self.factor.observe(value, epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values; none for all schedules but plateau."""
        return dict(self.factor.state) if isinstance(self.factor, Plateau) else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if isinstance(self.factor, Plateau):
            self.factor.state.update(state)


def build_schedule(
    name: str,
    settings: Mapping[str, Any],
    optimizer: Optimizer,
    *,
    steps_per_epoch: int,
    total_epochs: float,
    better: Literal["lower", "higher"] = "lower",
) -> Schedule:
    """Return the schedule called `name`; call `step(0)` before the first optimizer step.

    A registered function returns the factor as a function of the epoch. Beside the settings of the user it gets those
    of total_epochs, steps_per_epoch and better (the direction of the observed value) that it has as keywords.
    Raises ConfigError for a wrong setting. `notes` warns of a warm-up longer than the training.
    """
    runtime = {"total_epochs": total_epochs, "steps_per_epoch": steps_per_epoch, "better": better}
    factor = schedulers.build(name, settings, **runtime)
    if not callable(factor) or isinstance(factor, type):
        raise schedulers.wrong_result(name, factor)
    first = factor(0.0)
    if not isinstance(first, Real):
        raise ConfigError(f"scheduler: the function that '{name}' returns gives {described(first)}, not a number.")
    schedule = Schedule(optimizer, factor, steps_per_epoch)
    warmup = settings.get("warmup_epochs", 0.0)
    if 0 < total_epochs <= warmup:
        note = (
            f"scheduler.warmup_epochs={warmup:g} is not below the length of the training in epochs ({total_epochs:g}), "
            "so the learning rate never reaches its full value."
        )
        schedule.notes = (note,)
    return schedule


def _with_warmup(factor: Factor, epochs: float, start: float) -> Factor:
    """Multiply by a line from `start` at epoch 0 to 1 at epoch `epochs` (Goyal et al., 2017, section 2.2)."""
    if epochs <= 0:
        return factor
    return lambda epoch: factor(epoch) * (start + (1 - start) * min(epoch / epochs, 1.0))


def _after_warmup(curve: Factor, total: float, warmup: float, start: float) -> Factor:
    """Hold the first value of the curve during the warm-up, then follow the curve over the remaining epochs.

    curve: a function of the share of these epochs that is done, in [0, 1].
    """
    remaining = total - warmup

    def factor(epoch: float) -> float:
        return curve(_clip((epoch - warmup) / remaining) if remaining > 0 else 0.0)

    return _with_warmup(factor, warmup, start)


def _clip(share: float) -> float:
    return min(max(share, 0.0), 1.0)


@schedulers.register
def none(*, warmup_epochs: float = 0.0, warmup_start_factor: float = 0.01) -> Factor:
    """A constant learning rate."""
    return _with_warmup(lambda epoch: 1.0, warmup_epochs, warmup_start_factor)


@schedulers.register
def cosine(
    *, total_epochs: float, min_factor: float = 0.0, warmup_epochs: float = 0.0, warmup_start_factor: float = 0.01
) -> Factor:
    """Half a cosine from 1 to `min_factor` after the warm-up (Loshchilov & Hutter, SGDR, 2017, equation 5)."""

    def curve(share: float) -> float:
        return min_factor + (1 - min_factor) * (1 + math.cos(math.pi * share)) / 2

    return _after_warmup(curve, total_epochs, warmup_epochs, warmup_start_factor)


@schedulers.register
def polynomial(
    *,
    total_epochs: float,
    power: float = 1.0,
    min_factor: float = 0.0,
    warmup_epochs: float = 0.0,
    warmup_start_factor: float = 0.01,
) -> Factor:
    """(1 - share of training)^power from 1 to `min_factor` after the warm-up, as torch's PolynomialLR."""

    def curve(share: float) -> float:
        return float(min_factor + (1 - min_factor) * (1 - share) ** power)

    return _after_warmup(curve, total_epochs, warmup_epochs, warmup_start_factor)


@schedulers.register
def step(
    *, step_epochs: int = 30, gamma: float = 0.1, warmup_epochs: float = 0.0, warmup_start_factor: float = 0.01
) -> Factor:
    """`gamma` to the power of the number of completed periods of `step_epochs`, as torch's StepLR."""
    return _with_warmup(
        lambda epoch: float(gamma ** (math.floor(epoch) // step_epochs)), warmup_epochs, warmup_start_factor
    )


@schedulers.register
def multistep(
    *,
    milestones_epochs: Sequence[int] = (30, 60, 90),
    gamma: float = 0.1,
    warmup_epochs: float = 0.0,
    warmup_start_factor: float = 0.01,
) -> Factor:
    """`gamma` to the power of the number of milestones passed, as torch's MultiStepLR."""
    return _with_warmup(
        lambda epoch: float(gamma ** sum(epoch >= milestone for milestone in milestones_epochs)),
        warmup_epochs,
        warmup_start_factor,
    )


@schedulers.register
def exponential(*, gamma: float = 0.95, warmup_epochs: float = 0.0, warmup_start_factor: float = 0.01) -> Factor:
    """`gamma` to the power of the number of completed epochs, as torch's ExponentialLR."""
    return _with_warmup(lambda epoch: float(gamma ** math.floor(epoch)), warmup_epochs, warmup_start_factor)


@schedulers.register
def one_cycle(
    *,
    total_epochs: float,
    steps_per_epoch: int,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 10000.0,
    warmup_epochs: float = 0.0,
    warmup_start_factor: float = 0.01,
) -> Factor:
    """Up from 1 / div_factor to 1, then down to 1 / (div_factor * final_div_factor), both along cosines.

    The two phases of torch's OneCycleLR, which ends at the last step (Smith & Topin, 2017). The optimizer's learning
    rate is the peak; momentum does not change.
    """
    first, last = 1 / div_factor, 1 / (div_factor * final_div_factor)
    steps = (total_epochs - warmup_epochs) * steps_per_epoch
    peak, end = max(pct_start * steps - 1, 0.0), max(steps - 1, 0.0)

    def factor(epoch: float) -> float:
        done = min((epoch - warmup_epochs) * steps_per_epoch, end)
        if done < 0:
            return first
        if done <= peak:
            return _cosine_between(first, 1.0, done / peak if peak else 1.0)
        return _cosine_between(1.0, last, (done - peak) / (end - peak))

    return _with_warmup(factor, warmup_epochs, warmup_start_factor)


def _cosine_between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)


class Plateau:
    """A factor that shrinks when the observed value stops improving."""

    def __init__(
        self,
        *,
        factor: float,
        patience_epochs: int,
        threshold: float,
        cooldown_epochs: int,
        min_factor: float,
        higher_is_better: bool,
        warmup: Factor,
    ) -> None:
        self.shrink, self.patience, self.cooldown = factor, patience_epochs, cooldown_epochs
        self.threshold, self.min_factor, self.higher_is_better = threshold, min_factor, higher_is_better
        self.warmup = warmup
        self.state: dict[str, Any] = {"factor": 1.0, "best": None, "bad": 0.0, "cooldown": 0.0, "epoch": 0.0}

    def __call__(self, epoch: float) -> float:
        """Return the factor since the last observation, times the warm-up."""
        return float(self.state["factor"]) * self.warmup(epoch)

    def observe(self, value: float, epoch: float) -> None:
        """Count the epochs without a better value; NaN and infinities are never better."""
        passed, self.state["epoch"] = epoch - self.state["epoch"], epoch
        if self._is_better(value):
            self.state.update(best=value, bad=0.0)
        else:
            self.state["bad"] += passed
        if self.state["cooldown"] > 0:
            self.state.update(cooldown=max(0.0, self.state["cooldown"] - passed), bad=0.0)
        if self.state["bad"] > self.patience:
            shrunk = max(self.state["factor"] * self.shrink, self.min_factor)
            self.state.update(factor=shrunk, cooldown=float(self.cooldown), bad=0.0)

    def _is_better(self, value: float) -> bool:
        best = self.state["best"]
        if best is None:
            return math.isfinite(value)
        margin = self.threshold * abs(best)
        return bool(value > best + margin if self.higher_is_better else value < best - margin)


@schedulers.register
def plateau(
    *,
    better: Literal["lower", "higher"],
    factor: float = 0.1,
    patience_epochs: int = 10,
    threshold: float = 0.0001,
    cooldown_epochs: int = 0,
    min_factor: float = 0.0,
    warmup_epochs: float = 0.0,
    warmup_start_factor: float = 0.01,
) -> Plateau:
    """Multiply by `factor` after more than `patience_epochs` epochs without improvement, as torch's ReduceLROnPlateau.

    An improvement is larger than the share `threshold` of the best value. After a drop, `cooldown_epochs` do not count.
    """
    return Plateau(
        factor=factor,
        patience_epochs=patience_epochs,
        threshold=threshold,
        cooldown_epochs=cooldown_epochs,
        min_factor=min_factor,
        higher_is_better=better == "higher",
        warmup=_with_warmup(lambda epoch: 1.0, warmup_epochs, warmup_start_factor),
    )
