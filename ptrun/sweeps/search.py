"""The next configuration of a search, as a function of the trials so far and the seed: nothing is kept anywhere else.

The same seed and the same trials give the same proposal, in any process. Alone imports Optuna and cmaes.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ptrun.config.search_space import Axis, Value
from ptrun.errors import ConfigError
from ptrun.runs.objectives import is_higher_better
from ptrun.sweeps.history import Outcome, Trial

_SIGMA = 1 / 6  # of the width of an axis: where CMA-ES begins, as in Optuna


@dataclass(frozen=True)
class Proposal:
    """A value for each axis that applies. generation: of a search that proposes in generations."""

    point: Mapping[str, Value]
    generation: int | None = None


def require_libraries(name: str) -> None:
    """Import what a search needs. Raises ConfigError naming the extra when it is not installed."""
    for package in ("optuna", *(("cmaes",) if name == "cmaes" else ())):
        library(package, name)


def library(package: str, name: str) -> ModuleType:
    """A package that a search needs. Raises ConfigError naming the extra when it is not installed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"sweep={name}: the package {package} is needed, and can't be imported ({error}). "
            'Install it: pip install "ptrun[search]". A grid (sweep=grid) needs nothing.'
        ) from error


def propose(
    name: str,
    seed: int,
    space: Sequence[Axis],
    applies: Callable[[Axis, Mapping[str, Value]], bool],
    trials: Sequence[Trial],
    attempt: int = 0,
    objectives: Sequence[str] = (),
) -> Proposal:
    """The configuration to try after these trials.

    applies: whether an axis has a meaning for the components in a point.
    attempt: another number gives another proposal, where the first one was tried already.
    objectives: several, whose values the trials have; none for the one value of each.
    """
    optuna = library("optuna", name)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    past = [trial for trial in trials if lies_in(trial, space)]
    number = max((trial.number + 1 for trial in trials), default=0)
    digest = hashlib.blake2b(f"{seed}/{number}/{attempt}".encode(), digest_size=4).digest()
    own_seed = int.from_bytes(digest, "big")
    generation: int | None = None
    fixed: dict[str, Value] = {}
    if name == "cmaes" and attempt == 0:
        fixed, generation = _next_of_generation(space, past, own_seed)
    with warnings.catch_warnings(action="ignore"):
        study = optuna.create_study(
            study_name="sweep",
            directions=directions(past, objectives),
            sampler=_sampler(optuna, name, own_seed, space),
        )
        study.add_trials([as_optuna(optuna, trial, space, bool(objectives)) for trial in past])
        asked = study.ask()
        point: dict[str, Value] = {}
        for axis in sorted(space, key=lambda axis: axis.key != axis.group):  # components before their settings
            if not applies(axis, point):
                continue
            point[axis.key] = fixed[axis.key] if axis.key in fixed else _suggest(asked, axis)
    return Proposal({axis.key: point[axis.key] for axis in space if axis.key in point}, generation)


def directions(trials: Sequence[Trial], objectives: Sequence[str]) -> list[str]:
    """`maximize` or `minimize` for each objective."""
    better = [is_higher_better(name) for name in objectives] or [any(trial.higher_is_better for trial in trials)]
    return ["maximize" if higher else "minimize" for higher in better]


def _sampler(optuna: Any, name: str, seed: int, space: Sequence[Axis]) -> Any:
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, group=any(axis.within is not None for axis in space))
    if name == "gp":
        import torch

        torch.set_num_threads(1)  # with more, a child that is forked later could wait for these threads for ever
        return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
    return optuna.samplers.RandomSampler(seed=seed)


def lies_in(trial: Trial, space: Sequence[Axis]) -> bool:
    """Whether a trial is one of this space, rather than of an earlier command with other values."""
    axes = {axis.key: axis for axis in space}
    return all(key in axes and axes[key].contains(value) for key, value in trial.point.items())


def _suggest(asked: Any, axis: Axis) -> Value:
    if axis.choices:
        return str(asked.suggest_categorical(axis.key, list(axis.choices)))
    if axis.integer:
        return int(asked.suggest_int(axis.key, int(axis.low), int(axis.high), step=int(axis.step or 1), log=axis.log))
    return axis.number(asked.suggest_float(axis.key, axis.low, axis.high, step=axis.step, log=axis.log))


def as_optuna(optuna: Any, trial: Trial, space: Sequence[Axis], is_multiple: bool) -> Any:
    """A trial in Optuna's form. One that failed because of its configuration counts as worse than all pruned ones."""
    states = optuna.trial.TrialState
    state = {
        Outcome.COMPLETE: states.COMPLETE,
        Outcome.PRUNED: states.PRUNED,
        Outcome.BAD: states.FAIL if is_multiple else states.PRUNED,  # no order of several values has a worst
        Outcome.RUNNING: states.RUNNING,
        Outcome.FAILED: states.FAIL,
    }[trial.outcome]
    is_pruned = trial.outcome is Outcome.PRUNED and trial.value is not None
    return optuna.trial.create_trial(
        state=state,
        values=(trial.values if is_multiple else [trial.value]) if trial.outcome is Outcome.COMPLETE else None,
        params=dict(trial.point),
        distributions={axis.key: _distribution(optuna, axis) for axis in space if axis.key in trial.point},
        intermediate_values={trial.epochs: trial.value} if is_pruned else {},
    )


def _distribution(optuna: Any, axis: Axis) -> Any:
    distributions = optuna.distributions
    if axis.choices:
        return distributions.CategoricalDistribution(list(axis.choices))
    if axis.integer:
        return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
    return distributions.FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)


def _next_of_generation(
    space: Sequence[Axis], trials: Sequence[Trial], own_seed: int
) -> tuple[dict[str, Value], int | None]:
    """The numbers that CMA-ES tries next, and their generation; it is led through the earlier generations again."""
    cmaes: Any = library("cmaes", "cmaes")
    import numpy as np

    axes = [axis for axis in space if not axis.choices and axis.within is None]
    if not axes:
        return {}, None
    bounds = np.tile([0.0, 1.0], (len(axes), 1))
    optimizer = cmaes.CMA(np.full(len(axes), 0.5), _SIGMA, bounds=bounds, seed=own_seed)
    sign = -1 if any(trial.higher_is_better for trial in trials) else 1
    size, generation = optimizer.population_size, 0
    while len(done := _of_generation(trials, generation)) >= size:
        points = [np.array([_to_unit(axis, trial.point[axis.key]) for axis in axes]) for trial in done[:size]]
        optimizer.tell([(point, sign * float(trial.value or 0.0)) for point, trial in zip(points, done, strict=False)])
        generation += 1
    values = optimizer.ask()
    return {axis.key: _from_unit(axis, float(value)) for axis, value in zip(axes, values, strict=True)}, generation


def _of_generation(trials: Sequence[Trial], generation: int) -> list[Trial]:
    """The trials of a generation that have a result; the value of a pruned one is the best that is known of it."""
    return [
        trial
        for trial in trials
        if trial.generation == generation
        and trial.value is not None
        and trial.outcome in (Outcome.COMPLETE, Outcome.PRUNED)
    ]


def _to_unit(axis: Axis, value: Any) -> float:
    low, high, value = (math.log(x) if axis.log else float(x) for x in (axis.low, axis.high, value))
    return float((value - low) / (high - low))


def _from_unit(axis: Axis, share: float) -> Value:
    low, high = (math.log(x) if axis.log else float(x) for x in (axis.low, axis.high))
    value = low + share * (high - low)
    return axis.number(min(max(math.exp(value) if axis.log else value, axis.low), axis.high))
