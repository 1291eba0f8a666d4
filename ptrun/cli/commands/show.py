"""`ptrun show`: the checked configuration as YAML for `ptrun train`, or what a checkpoint is. Runs nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_config_name_flag
from ptrun.errors import ConfigError
from ptrun.process.startup import loading_torch
from ptrun.runs.folder import redact

HELP = """\
ptrun show [KEY=VALUE ...] [flags]
ptrun show PATH [--json]

  ptrun show model=convnet train.epochs=5      the configuration that `ptrun train` would run with these settings
  ptrun show outputs/latest                    what a checkpoint or a run is: data, classes, results, how to use it

The first checks every setting and prints the whole configuration as YAML (`ptrun train --help` lists the settings).
The second also takes checkpoint=PATH; the file alone is enough, its run folder says more. Neither runs anything.

Flags: --json; --debug; --config-dir DIR; --config-name NAME (start from NAME.yaml instead of train.yaml)
"""


def main(argv: list[str]) -> int:
    """Print the configuration. Returns the exit code."""
    parser = Parser("show", "train.epochs=5")
    parser.add_argument("overrides", nargs="*")
    add_config_dir_flag(parser)
    add_config_name_flag(parser)
    parser.add_argument("--json", action="store_true")
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    checkpoint = _checkpoint(options.overrides)
    if checkpoint is not None:
        return _show_checkpoint(checkpoint, as_json=options.json)
    from ptrun.config.compose import Composer
    from ptrun.config.folders import conf_folders
    from ptrun.config.load import load_config

    composer = Composer(options.config_name, conf_folders(options.config_dir))
    config, _ = load_config(composer, options.overrides)
    for note in composer.notes:
        print(f"note: {note}", file=sys.stderr)
    values = redact(config.to_dict())
    if options.json:
        print(json.dumps(values, indent=2, ensure_ascii=False))
        return 0
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120), end="")
    return 0


def _checkpoint(words: Sequence[str]) -> str | None:
    """The checkpoint that is named by `checkpoint=PATH` or by a path alone; None when a configuration is asked for.

    checkpoint=none and checkpoint=default are choices of a configuration. Raises ConfigError for further words.
    """
    named = [word.removeprefix("checkpoint=") for word in words if word.startswith("checkpoint=")]
    paths = [word for word in words if "=" not in word or Path(word).exists()]
    checkpoints = [*paths, *(path for path in named if "/" in path or path.endswith(".pt") or Path(path).exists())]
    if not checkpoints:
        return None
    if len(words) > 1:
        raise ConfigError(f"ptrun show: a checkpoint is shown alone, without other words; got {' '.join(words)}.")
    return checkpoints[0]


def _show_checkpoint(checkpoint: str, *, as_json: bool) -> int:
    from ptrun.cli.main import VERBS

    with loading_torch():
        from ptrun.runs import show_checkpoint
    show_checkpoint.run(checkpoint, VERBS, as_json=as_json)
    return 0
