"""`ptrun show`: the composed and checked configuration, without running it.

Invariant: prints YAML that `ptrun train` would accept, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ptrun.cli.arguments import parse
from ptrun.cli.help import print_train_help
from ptrun.config.run_config import RunConfig
from ptrun.runs.folder import redact


def print_config(config: RunConfig) -> int:
    """Print the configuration as YAML."""
    values: Mapping[str, Any] = redact(config.to_dict())
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120), end="")
    return 0


def main(argv: list[str]) -> int:
    """Print the configuration. Returns the exit code."""
    options = parse(argv)
    if options.help:
        return print_train_help()
    from ptrun.config import load
    from ptrun.config.compose import Composer

    composer = Composer(options.config_name, load.conf_folders(options.config_dir))
    return print_config(load.load_config(composer, options.overrides).config)
