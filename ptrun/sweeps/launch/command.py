"""Starts the workers of a sweep by the user's own command, once for each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ptrun.config.overrides import in_shell
from ptrun.config.sweep import SweepSettings
from ptrun.errors import ConfigError, ResourceError
from ptrun.sweeps.launch.workers import Processes, split_words, work_words, worker_ended_text

_KEY = "sweep.launch_command"
_SHELL_SCRIPT = re.compile(r"-\w*c")  # as `bash -lc`, after which comes one word
_FOR_SHELL = re.compile(r"\d?[<>|&;]|.*;$|~/|.*(\$[\w({]|`)")


def check(settings: SweepSettings) -> None:
    """Raise ConfigError when the command has no place for the worker, or needs a shell."""
    template = settings.launch_command or ""
    if "%work" not in template:
        raise ConfigError(
            f"{_KEY}: sweep.launch=command needs the command that starts a worker, with %work for "
            '`ptrun sweep work ...` and %n for the number of the worker, as "ssh node%n %work"; got '
            f"{settings.launch_command!r}."
        )
    words = split_words(_KEY, template)
    for_shell = [word for number, word in enumerate(words) if _is_for_shell(word, is_first=number == 0)]
    if for_shell:
        raise ConfigError(
            f"{_KEY}: {for_shell[0]} has a meaning for a shell only, and none reads this command. Let one read it: "
            f"{in_shell(_KEY, f'sh -c {shlex.quote(template)}')}."
        )


def _is_for_shell(word: str, *, is_first: bool) -> bool:
    """Whether a word would not mean what is meant: `>`, `~/start`, `$HOME`, and `A=1` before a command."""
    if is_first and "=" in word:
        return True
    return bool(_FOR_SHELL.match(word)) and not set(word) & set(" \t\n")  # a word with spaces is for another shell


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
    for word in split_words(_KEY, template):
        word = word.replace("%n", str(number))
        is_whole = word == "%work" and not (words and _SHELL_SCRIPT.fullmatch(words[-1]))
        words += work if is_whole else [word.replace("%work", shlex.join(work))]
    return words
