"""The interval of a forecast that a user asks for, from what the checkpoint holds of its validation."""

from __future__ import annotations

import numpy as np

from ptrun.errors import ConfigError, join_words
from ptrun.evaluation.forecast_interval import LEVELS, width_of
from ptrun.evaluation.prediction_table import Width
from ptrun.runs.prediction.predictor import Predictor

_NO_INTERVAL = (
    "There is no interval: the checkpoint has no errors of a validation. It is of an older version of ptrun, or its "
    "training had no validation windows, or too few."
)


def interval_width(predictor: Predictor, level: float | None, what: str) -> tuple[Width, tuple[str, ...]]:
    """How far the interval goes on either side of each number, in original units, and a note when there is none.

    Raises ConfigError for a model or a level that has no interval.
    """
    if level is None:
        return None, ()
    spec, first = predictor.spec, predictor.members[0]
    if not spec.horizon or what != "values":
        why = f"this model was trained on {first.config.dataset.name}" if not spec.horizon else f"not what={what}"
        raise ConfigError(f"interval: only the values of a forecast have one; {why}.")
    if len(predictor.members) > 1:
        raise ConfigError("interval: the average of several models has none. Name one checkpoint.")
    if level not in LEVELS:
        raise ConfigError(f"interval={level:g}: it can be {join_words(f'{number:g}' for number in LEVELS)}.")
    stored = first.content.get("interval")
    if stored is None:
        return None, (_NO_INTERVAL,)
    width = width_of(stored, level)
    if width is None:
        raise ConfigError(
            f"interval={level:g}: the validation had {stored['windows']} windows, too few to tell. It can be "
            f"{join_words(f'{number:g}' for number in stored['levels'])}."
        )
    note = f"The interval is that of the errors of {stored['windows']:,} validation windows; it is no guarantee."
    return width.double().numpy() * np.asarray(spec.target_std or 1.0), (note,)
