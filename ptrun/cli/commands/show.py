"""`ptrun show`: the composed and checked configuration, as YAML that `ptrun train` accepts. Runs nothing."""

from __future__ import annotations

import yaml

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_config_name_flag
from ptrun.runs.folder import redact

HELP = """\
ptrun show [KEY=VALUE ...] [flags]

  ptrun show model=convnet train.epochs=5      the configuration that `ptrun train` would run with these settings

Checks every setting, prints the whole configuration as YAML, and runs nothing. `ptrun train --help` lists the settings.

Flags: --debug; --config-dir DIR; --config-name NAME (start from NAME.yaml instead of train.yaml)
"""


def main(argv: list[str]) -> int:
    """Print the configuration. Returns the exit code."""
    parser = Parser("show", "train.epochs=5")
    parser.add_argument("overrides", nargs="*")
    add_config_dir_flag(parser)
    add_config_name_flag(parser)
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    from ptrun.config.compose import Composer
    from ptrun.config.folders import conf_folders
    from ptrun.config.load import load_config

    config, _ = load_config(Composer(options.config_name, conf_folders(options.config_dir)), options.overrides)
    values = redact(config.to_dict())
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120), end="")
    return 0
