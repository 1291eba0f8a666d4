"""The parser of one verb's arguments, and the flags that several verbs share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ptrun.config import repeated_keys
from ptrun.errors import ConfigError, did_you_mean, join_words


class Parser(argparse.ArgumentParser):
    """argparse for one verb, whose mistakes are ConfigErrors that name the verb's flags."""

    def __init__(self, verb: str, setting_example: str = "") -> None:
        """setting_example: how a setting of this verb is typed, for a message; "" for a verb without settings."""
        super().__init__(prog=f"ptrun {verb}", add_help=False, allow_abbrev=False)
        self._setting_example = setting_example
        self._formats: tuple[str, ...] = ()
        self.add_argument("-h", "--help", action="store_true")

    def add_formats(self, *names: str) -> None:
        """A flag for each other form of the output, as --json; at most one of them can be chosen."""
        self._formats = names
        for name in names:
            self.add_argument(f"--{name}", action="store_true")

    @property
    def flags(self) -> list[str]:
        """All flags, short and long."""
        return [*self._option_string_actions, "--debug"]

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse flags and positional words, in any order. Raises ConfigError."""
        options, unknown = self.parse_known_intermixed_args(list(argv))
        if unknown:
            self._refuse(unknown, argv)
        chosen = [f"--{name}" for name in self._formats if getattr(options, name)]
        if len(chosen) > 1 and not options.help:
            raise ConfigError(f"{self.prog}: {' and '.join(chosen)} exclude each other. Choose one.")
        _tell_repeated_keys(options)
        return options

    def _refuse(self, unknown: Sequence[str], argv: Sequence[str]) -> NoReturn:
        word = unknown[0]
        if not word.startswith("-"):
            raise ConfigError(
                f"{self.prog}: '{word}' is one argument too many. `{self.prog} --help` shows how it is used."
            )
        flags = sorted(flag for flag in self._option_string_actions if flag.startswith("--"))
        name = word.partition("=")[0]
        settings = self._setting_hint(unknown, argv)
        raise ConfigError(
            f"{self.prog}: there is no flag {name}.{did_you_mean(name, flags)}{settings} "
            f"Flags: {join_words([*flags, '--debug'])}."
        )

    def _setting_hint(self, unknown: Sequence[str], argv: Sequence[str]) -> str:
        if not self._setting_example:
            return ""
        from ptrun.config.habits import settings_for_flags

        settings = settings_for_flags(unknown, argv)
        how = f"type {settings}" if settings else f"KEY=VALUE, as in {self._setting_example}"
        return f" Settings have no dashes: {how}."

    def error(self, message: str) -> NoReturn:
        """Raise a ConfigError, where argparse would print its usage and exit."""
        raise ConfigError(f"{self.prog}: {message}. `{self.prog} --help` shows how it is used.")


def _tell_repeated_keys(options: argparse.Namespace) -> None:
    """Say which settings are given twice. Those of a sweep's jobs are refused, where all of it is checked."""
    words = [word for values in vars(options).values() if isinstance(values, list) for word in values]
    if not getattr(options, "quiet", False):
        settings = [word for word in words if not Path(word).exists()]
        for note in repeated_keys.notes(settings, is_sweep=getattr(options, "multirun", False)):
            print(f"note: {note}", file=sys.stderr)


def add_quiet_flag(parser: Parser) -> None:
    """-q: print nothing but warnings and errors."""
    parser.add_argument("-q", "--quiet", action="store_true")


def add_config_dir_flag(parser: Parser) -> None:
    """--config-dir: the user's own YAML files."""
    parser.add_argument("-cd", "--config-dir")


def add_config_name_flag(parser: Parser) -> None:
    """--config-name: the root file of a composition."""
    parser.add_argument("-cn", "--config-name", default="train")


def add_allow_change_flag(parser: Parser) -> None:
    """--allow-change: a setting that may change although the resumed run computes other numbers then."""
    parser.add_argument("--allow-change", action="append", default=[], metavar="KEY")


def split_words(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Paths, which stand alone or exist, and KEY=VALUE words as dotted key → value. Raises ConfigError."""
    from ptrun.config.overrides import parse_values

    paths = [word for word in words if "=" not in word or Path(word).exists()]
    return paths, parse_values([word for word in words if word not in paths])


def named_checkpoint(verb: str, paths: Sequence[str], values: Mapping[str, Any]) -> dict[str, str]:
    """The checkpoint that is named by a word alone, as verify and resume take it. Raises ConfigError for several."""
    if not paths:
        return {}
    if len(paths) > 1 or "checkpoint" in values:
        named = [*paths, *([f"checkpoint={values['checkpoint']}"] if "checkpoint" in values else [])]
        raise ConfigError(f"ptrun {verb}: expected one checkpoint, got {len(named)}: {' '.join(named)}.")
    return {"checkpoint": paths[0]}


class RunAndChanges(NamedTuple):
    """What `ptrun resume` and `ptrun reproduce` are given: at most one run, and changes of its settings."""

    run: str | None
    changes: dict[str, Any]  # dotted key → value, without output_dir and plugins
    output_dir: str
    plugins: list[str]


def split_run_and_changes(verb: str, words: Sequence[str]) -> RunAndChanges:
    """Tell the run from the KEY=VALUE words. Raises ConfigError when there are several runs or a word can't be read."""
    from ptrun.config.overrides import parse_values

    runs = [word for word in words if "=" not in word]
    if len(runs) > 1:
        raise ConfigError(f"ptrun {verb}: expected one run, got {len(runs)}: {' '.join(runs)}.")
    changes = parse_values([word for word in words if "=" in word])
    output_dir = str(changes.pop("output_dir", "outputs"))
    plugins = [str(file) for file in changes.pop("plugins", [])]
    return RunAndChanges(runs[0] if runs else None, changes, output_dir, plugins)
