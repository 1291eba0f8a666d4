"""How much each axis of a sweep matters for the result. Optuna's methods where it is installed and they fit."""

from __future__ import annotations

import importlib
import statistics
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ptrun.reports.sweep.data import Axis, Importance, Point, Setting

_FEWEST = 8  # configurations, for a forest
_TREES, _MOST_IN_FOREST = 16, 200  # of configurations; 64 trees and 300 of them would take 9 seconds
_BINS = 4  # into which many numbers are put
_SHARE = "Share of the variance of the results that the setting"


def importance(axes: Sequence[Axis], points: Sequence[Point], is_search: bool) -> Importance | None:
    """The share of the variance of the results that each axis explains; None where there is nothing to explain.

    points: those whose runs are done. is_search: whether they are other than all combinations of a few values.
    """
    if len(axes) < 2 or len(points) < 3 or len({point.mean for point in points}) < 2:
        return None
    if not is_search:
        shares = {axis.key: correlation_ratio(axis, points) for axis in axes}
        rest = round(100 * (1 - sum(shares.values())))
        note = f"The rest, {rest} %, is due to combinations and chance." if rest > 0 else ""
        return Importance(_sorted(shares), f"{_SHARE} alone explains (η²)", note)
    if len(points) < _FEWEST:
        return None
    apply_to_all = all(axis.key in point.settings for axis in axes for point in points)
    explained = _fanova(axes, points) if apply_to_all else None
    if explained is not None:
        return Importance(_sorted(explained), f"{_SHARE} explains (fANOVA)")
    adjusted = {axis.key: correlation_ratio(axis, points, is_adjusted=True) for axis in axes}
    return Importance(_sorted(adjusted), f"{_SHARE} alone explains, in four ranges of its values (ε²)")


def correlation_ratio(axis: Axis, points: Sequence[Point], *, is_adjusted: bool = False) -> float:
    """η²: the variance between the means of the values of an axis, as a share of the whole variance of the results.

    is_adjusted: ε², which is 0 on average where the axis has no effect, however many values it has (Kelley, 1935).
    """
    groups: dict[object, list[float]] = {}
    for point in points:
        groups.setdefault(_bin(axis, point.settings.get(axis.key)), []).append(point.mean)
    everything = [point.mean for point in points]
    middle, whole = statistics.fmean(everything), statistics.pvariance(everything)
    between = sum(len(group) * (statistics.fmean(group) - middle) ** 2 for group in groups.values())
    ratio = between / len(everything) / whole if whole else 0.0
    free = len(everything) - len(groups)
    if not is_adjusted:
        return ratio
    return max(1 - (1 - ratio) * (len(everything) - 1) / free, 0.0) if free else 0.0


def _bin(axis: Axis, value: Setting | None) -> object:
    """What is compared: the value itself where there are few, else the range that it lies in."""
    if value is None or not axis.is_numeric or len(axis.values) <= 2 * _BINS:
        return value
    return list(axis.values).index(value) * _BINS // len(axis.values)


def _fanova(axes: Sequence[Axis], points: Sequence[Point]) -> dict[str, float] | None:
    """F. Hutter, H. Hoos, K. Leyton-Brown, An efficient approach for assessing hyperparameter importance, 2014."""
    try:
        with warnings.catch_warnings(action="ignore"):
            optuna: Any = importlib.import_module("optuna")
    except ImportError:
        return None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {axis.key: _distribution(optuna, axis) for axis in axes}
    with warnings.catch_warnings(action="ignore"):
        study = optuna.create_study()
        study.add_trials(
            optuna.trial.create_trial(value=point.mean, params=dict(point.settings), distributions=distributions)
            for point in points[:: -(-len(points) // _MOST_IN_FOREST)]
        )
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, seed=0)
        shares: Mapping[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(share) for key, share in shares.items()}


def _distribution(optuna: Any, axis: Axis) -> Any:
    if not axis.is_numeric:
        return optuna.distributions.CategoricalDistribution(list(axis.values))
    return optuna.distributions.FloatDistribution(axis.values[0], axis.values[-1])


def _sorted(shares: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda entry: -entry[1]))
