"""Parses the arguments of one command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from ptrun.errors import ConfigError
from ptrun.process.startup import resting_collector


class _Parser(argparse.ArgumentParser):
    """argparse whose mistakes are ConfigErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise ConfigError(
            f"{message[0].upper()}{message[1:]}. Settings have no dashes: KEY=VALUE, as in train.epochs=5. `ptrun train --help` lists the flags."
        )


def load_plugins(files: Sequence[str]) -> None:
    """Import the shipped components, and with them torch, and then the user's own files."""
    with resting_collector():
        from ptrun import catalog, plugins

    assert catalog.MODULES  # the shipped names first, so that a plugin that takes one is refused
    plugins.load(files)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The overrides and flags of a command. Raises ConfigError."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name", default="train")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument(
        "-i",
        "--info",
        nargs="?",
        const="all",
        choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    )
    parser.add_argument("-sc", "--shell-completion")
    parser.add_argument("--allow-change", action="append", default=[])
    return parser.parse_intermixed_args(list(argv))


def run_and_changes(verb: str, words: Sequence[str]) -> tuple[list[str], dict[str, Any], str, list[str]]:
    """At most one run, the changed settings, output_dir, and the plugins' files. Raises ConfigError."""
    from ptrun.config import compose

    runs = [word for word in words if "=" not in word]
    if len(runs) > 1:
        raise ConfigError(f"{verb}: expected one run, got {len(runs)}: {' '.join(runs)}.")
    changes = compose.parse_values([word for word in words if "=" in word])
    output_dir = str(changes.pop("output_dir", "outputs"))
    return runs, changes, output_dir, [str(file) for file in changes.pop("plugins", [])]
