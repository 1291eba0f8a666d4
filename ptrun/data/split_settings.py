"""The settings of the group `split`, which say how the samples of any data set are divided into train, val and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ptrun.errors import ConfigError


@dataclass(frozen=True)
class SplitSettings:
    """conf/split/auto.yaml has the meanings of the settings. name: auto, random, group, time, column or folders.

    test_fraction: 0 when the test samples come from elsewhere; the test part is then empty.
    evaluating: a trained model is evaluated on other data, so parts may be empty and classes small.
    """

    name: str = "auto"
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0
    group: str | None = None
    column: str | None = "auto"
    time_column: str | Sequence[str] = "auto"
    duplicates: str = "together"
    folds: int | None = None
    fold: int = 0
    evaluating: bool = False


DEFAULT_SPLIT = SplitSettings()


def check_fractions(settings: SplitSettings) -> None:
    """Raise ConfigError unless both fractions are in range and leave something to train on.

    When evaluating, all samples may go to the test part.
    """
    val, test, evaluating = settings.val_fraction, settings.test_fraction, settings.evaluating
    if settings.folds is not None:
        test = 1 / settings.folds
    problems = [
        f"split.{key} is {value}; it must be above 0 and below 1."
        for key, value in (("val_fraction", val), ("test_fraction", test))
        if not 0 <= value <= 1 or (not evaluating and value in (0, 1) and (key, value) != ("test_fraction", 0))
    ]
    if not problems and not evaluating and val + test >= 1:
        name = f"the test part of split.folds={settings.folds}" if settings.folds else "split.test_fraction"
        problems.append(
            f"split.val_fraction ({val:g}) and {name} ({test:g}) leave nothing to train on: their sum must be below 1."
        )
    if problems:
        raise ConfigError(problems)
