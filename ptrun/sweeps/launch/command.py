"""Starts the workers of a sweep by a command of the user's, once for each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ptrun.config.sweep import SweepSettings
from ptrun.errors import ConfigError, ResourceError
from ptrun.sweeps.launch.workers import Processes, work_words, worker_ended_text


def check(settings: SweepSettings) -> None:
    """Raise ConfigError when the command has no place for the worker."""
    if "%work" not in (settings.launch_command or ""):
        raise ConfigError(
            "sweep.launch_command: sweep.launch=command needs the command that starts a worker, with %work for "
            '`ptrun sweep work ...` and %n for the number of the worker, as "ssh node%n %work"; got '
            f"{settings.launch_command!r}."
        )


def start(settings: SweepSettings, folder: Path) -> Processes:
    """Start sweep.workers workers. Raises ResourceError when there is no such command."""
    text = f"{settings.workers}, by {settings.launch_command}; worker-*.log has their output"
    processes = Processes(text)
    for number in range(settings.workers):
        words = command_words(settings.launch_command or "", work_words(folder), number)
        try:
            processes.add(words, folder, partial(worker_ended_text, number), has_input=False)
        except OSError as error:
            processes.stop()
            raise ResourceError(f"sweep.launch_command: {words[0]} can't be started ({error.strerror}).") from error
    return processes


def command_words(template: str, work: Sequence[str], number: int) -> list[str]:
    """The words of the command that starts a worker; %work within a word is one word for another shell."""
    words: list[str] = []
    for word in shlex.split(template):
        word = word.replace("%n", str(number))
        words += work if word == "%work" else [word.replace("%work", shlex.join(work))]
    return words
