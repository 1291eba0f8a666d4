"""Comparisons that a sweep is made for: `model.dropout=0.5 < model.dropout=0.0`, each side some of its jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ptrun.config import schema
from ptrun.config.overrides import parse_values
from ptrun.errors import ConfigError, did_you_mean, join_words

TRAIN_LOSS = "train/loss"
_SIGN = re.compile(r"\s+([<>])\s+")


@dataclass(frozen=True)
class Comparison:
    """Says that the metric is lower (`<`) or higher (`>`) with the first settings than with the second ones."""

    first: Mapping[str, Any]
    second: Mapping[str, Any]
    first_text: str
    second_text: str
    is_higher: bool

    @property
    def sides(self) -> tuple[tuple[str, Mapping[str, Any]], tuple[str, Mapping[str, Any]]]:
        """The first and the second settings, each as they were written and as values."""
        return (self.first_text, self.first), (self.second_text, self.second)

    @property
    def text(self) -> str:
        """As it was written."""
        return f"{self.first_text} {'>' if self.is_higher else '<'} {self.second_text}"


def parse_comparison(text: str) -> Comparison:
    """Raises ConfigError for a text that is no comparison."""
    parts = _SIGN.split(text.strip())
    if len(parts) != 3:
        raise ConfigError(
            f"sweep.compare: '{text}': expected settings on both sides of < or >, with spaces around it, as in "
            "'model.dropout=0.5 < model.dropout=0.0'."
        )
    first, sign, second = parts
    return Comparison(parse_values(first.split()), parse_values(second.split()), first, second, sign == ">")


def has_settings(overrides: Sequence[str], settings: Mapping[str, Any]) -> bool:
    """Whether a job with these overrides has these settings."""
    keys = [text for text in overrides if text.partition("=")[0] in settings]
    return len(keys) == len(settings) and parse_values(keys) == settings


def comparison_problems(compare: Sequence[str], metric: str | None, test: str) -> list[str]:
    """What is wrong with sweep.compare and sweep.compare_by. test: the setting sweep.test."""
    problems: list[str] = []
    for text in compare:
        try:
            parse_comparison(text)
        except ConfigError as error:
            problems += error.problems
    if metric is None or metric == TRAIN_LOSS:
        return problems
    metrics = [TRAIN_LOSS, *(f"test/{name}" for name in ("loss", *schema.names("metric")))]
    if metric not in metrics:
        problems.append(
            f"sweep.compare_by: there is no '{metric}'.{did_you_mean(metric, metrics)} Available: "
            f"{join_words(metrics)}; null: the monitored value."
        )
    elif test != "all":
        problems.append(f"sweep.compare_by: {metric} of every run is needed, which sweep.test=all gives.")
    return problems


def require_jobs(compare: Sequence[str], jobs: Sequence[Sequence[str]]) -> None:
    """Raise ConfigError for a comparison with settings that no job has. jobs: the overrides of each."""
    problems = [
        f"sweep.compare: '{text}': no job of this sweep has {side}. Give the axes these values, other comparisons, or "
        "sweep.compare=null."
        for text in compare
        for side, settings in parse_comparison(text).sides
        if not any(has_settings(job, settings) for job in jobs)
    ]
    if problems:
        raise ConfigError(problems)
