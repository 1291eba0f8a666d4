"""Every error that a user can cause, and the exit code each one ends with.

PtrunError
├── ExportError       1   an exported file can't be run, or differs from its checkpoint
├── ConfigError       2   the configuration or the command line is wrong
├── DataError         3   the data are missing, unreadable or do not fit
├── CheckpointError   4   a checkpoint is missing, damaged or does not fit
├── DivergedError     5   a loss or weight became non-finite
├── ResourceError     6   out of memory or disk
├── Pruned            0   ended early, because other runs of its sweep are better
└── Interrupted      75   stopped by a signal; the run can be resumed

The text of a PtrunError is made of whole sentences for the user, who sees no traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PtrunError(Exception):
    """An error that the command prints as a sentence before it ends with `exit_code`."""

    exit_code = 1


class ExportError(PtrunError):
    """An exported file can't be run, or does not compute what its checkpoint computes."""

    exit_code = 1


class ConfigError(PtrunError):
    """One or more mistakes in the configuration; `problems` lists each as a sentence."""

    exit_code = 2

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class DataError(PtrunError):
    """The data are missing, unreadable, or not what the configuration says they are."""

    exit_code = 3


class CheckpointError(PtrunError):
    """A checkpoint is missing, damaged, or belongs to something else."""

    exit_code = 4


class DivergedError(PtrunError):
    """Training produced a non-finite value (infinity or NaN)."""

    exit_code = 5


class ResourceError(PtrunError):
    """Memory or disk space ran out."""

    exit_code = 6


class Pruned(PtrunError):
    """A run of a sweep ended early, because others are better. It can be continued."""

    exit_code = 0


class Interrupted(PtrunError):
    """A signal asked the run to stop; its state is saved."""

    exit_code = 75


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of a device or of the machine ran out, which torch reports by several types and texts."""
    phrases = ("not enough memory", "can't allocate memory", "out of memory")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in phrases))
    )


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the allowed word closest to `word`, or "" when none is close."""
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without a final period; the name of its type where it has no text."""
    text = str(error).strip()
    return (text.splitlines()[0].rstrip() if text else type(error).__name__).rstrip(".")


def join_words(words: Iterable[str], limit: int = 24) -> str:
    """Join words with commas for a message. Of a long list the first `limit` are named and the others counted."""
    words = list(words)
    text = ", ".join(words[:limit])
    return text if len(words) <= limit else f"{text} and {len(words) - limit} more"
