"""The steps between the rows of a series: the usual one, where it changes, where rows are missing or stand twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.timeline import TimeAxis
from ptrun.data.formats.date_form import DAY_SECONDS
from ptrun.data.partition import Indices
from ptrun.rng import Floats

TOLERANCE = 0.1  # share by which two steps may differ and count as the same
MAX_BREAKS = 0.05  # share of the steps above which a series has no even step at all
FEW_BREAKS = 3  # up to this many breaks are never too many
MONTH_SECONDS = 27 * DAY_SECONDS  # from here on, steps are counted in months
SAME_STEP = 1.15  # ratio up to which the steps of two files are the same: months have 28 to 31 days
HOLIDAYS = 4  # working days between two rows of a series without weekends that count as one step


@dataclass(frozen=True)
class Steps:
    """The steps of a series [T].

    usual: time between two rows, in the units of the axis. breaks: rows after which several are missing, or the step
    becomes another one. skipped: rows after which a single one is missing, as 31 December is where each year is to have
    365 days. repeated: rows with the time of the row before. is_uneven: whether there is no even step, and so no break.
    """

    usual: float
    breaks: Indices
    skipped: Indices
    repeated: Indices
    is_uneven: bool = False


NO_ROWS: Indices = np.zeros(0, np.int64)
NO_STEPS = Steps(0.0, NO_ROWS, NO_ROWS, NO_ROWS)


def find_steps(axis: TimeAxis, stretches: Sequence[tuple[int, int]]) -> Steps:
    """The steps of a series whose rows are those of several stretches [first, end), one for each group."""
    differences = [np.diff(axis.times[first:end]) for first, end in stretches]
    steps = np.concatenate(differences)
    usual = float(np.median(steps)) if len(steps) else 0.0
    found = [_changes(_comparable(axis, first, end, usual)) for first, end in stretches]
    breaks, skipped = (
        np.concatenate([first + rows[kind] for rows, (first, _) in zip(found, stretches, strict=True)])
        for kind in (0, 1)
    )
    zeros = [first + 1 + np.flatnonzero(d == 0) for d, (first, _) in zip(differences, stretches, strict=True)]
    is_uneven = len(breaks) > max(FEW_BREAKS, MAX_BREAKS * len(steps))
    return Steps(usual, NO_ROWS if is_uneven else breaks, skipped, np.concatenate(zeros), is_uneven)


def _changes(steps: Floats) -> tuple[Indices, Indices]:
    """The steps of a stretch that are breaks, and those that skip a single row."""
    if not len(steps):
        return NO_ROWS, NO_ROWS
    changes = np.flatnonzero(np.abs(np.diff(steps)) > TOLERANCE * np.maximum(steps[1:], steps[:-1]))
    starts = np.concatenate([[0], changes + 1]).astype(np.int64)  # of runs of equal steps
    if len(starts) == 1:
        return NO_ROWS, NO_ROWS
    single = np.diff(np.append(starts, len(steps))) == 1
    usual = float(np.median(steps))
    skips = single & (np.abs(steps[starts] - 2 * usual) <= 2 * TOLERANCE * usual)
    # A single step is a gap. After one, the next run is whole; between two longer runs, the second starts a new one.
    follows_run = np.concatenate([[False], ~single[:-1]])
    return starts[(single | follows_run) & ~skips], starts[skips]


def _comparable(axis: TimeAxis, first: int, end: int, usual: float) -> Floats:
    """Steps that are equal where a calendar makes them differ: in months, or in working days."""
    times, clock = axis.times[first:end], axis.clock[first:end]
    if not axis.has_dates:
        return np.diff(times)
    dates = clock.astype("datetime64[s]")
    if usual >= MONTH_SECONDS:
        return np.diff(dates.astype("datetime64[M]").astype(np.int64)).astype(np.float64)
    if usual == DAY_SECONDS and not np.isin(_weekday(dates), (5, 6)).any():
        days = dates.astype("datetime64[D]")
        working = np.busday_count(days[:-1], days[1:]).astype(np.float64)
        return np.where((working >= 1) & (working <= HOLIDAYS), 1.0, working)
    return np.diff(times)


def _weekday(dates: NDArray[np.datetime64]) -> Indices:
    """0 for Monday to 6 for Sunday."""
    days: Indices = (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return days


def step_to_remember(steps: Steps, has_dates: bool) -> float | None:
    """The time between two rows, in seconds, with which later files are compared; None when it is not known."""
    return steps.usual if has_dates and steps.usual > 0 and not steps.is_uneven else None


def unlike_training(steps: Steps, trained: float | None, has_dates: bool) -> str:
    """In words, that the rows are further apart or closer than those of the training; "" when they are not."""
    step = step_to_remember(steps, has_dates)
    if step is None or trained is None or max(step, trained) <= SAME_STEP * min(step, trained):
        return ""
    return f"steps of {step_text(step, has_dates)} between rows, where training had {step_text(trained, has_dates)}"


def step_text(seconds: float, has_dates: bool) -> str:
    """A step in words."""
    if not has_dates:
        return f"{seconds:g}"
    if seconds >= MONTH_SECONDS:
        months = round(seconds / (30.44 * DAY_SECONDS))
        return "1 month" if months == 1 else f"{months} months"
    for unit, length in (("day", DAY_SECONDS), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{seconds / length:g} {unit}{'s' if seconds != length else ''}"
    return f"{seconds:g} s"
