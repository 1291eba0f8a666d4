"""`ptrun publish`: writes a checkpoint to give away, and a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ptrun.cli.arguments import Parser, add_quiet_flag, split_words
from ptrun.errors import ConfigError
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import loading_torch

HELP = """\
ptrun publish CHECKPOINT TO [overwrite=true] [flags]

  CHECKPOINT or checkpoint=PATH a checkpoint file, or a run folder (its best checkpoint)
  TO or to=PATH                 model.pt: that file, and model.md beside it; a folder: model.pt and README.md in it
  overwrite=true                replace files that exist

Writes the weights that are evaluated and what preparing inputs needs, without the optimizer, and a model card: data,
results with baselines, limits, use. `ptrun predict`, `eval`, `show` and `train weights=` take the file. The run is only
read.

Flags: -q, --quiet; --debug
"""


def main(argv: list[str]) -> int:
    """Publish a checkpoint. Returns the exit code."""
    parser = Parser("publish", "overwrite=true")
    parser.add_argument("words", nargs="*")
    add_quiet_flag(parser)
    options = parser.parse(argv)
    if options.help or not options.words:
        print(HELP, end="")
        return 0
    from ptrun.config import schema
    from ptrun.config.check import check_section
    from ptrun.config.folders import shipped_conf

    paths, values = split_words(options.words)
    values |= _named_by_place(paths, values)
    settings = check_section(values, schema.read(shipped_conf() / "publish.yaml").keys)
    with loading_torch():
        from ptrun.runs.sharing import publish

    with interrupt_raised():
        publish.run(publish.PublishRequest(**settings, quiet=options.quiet))
    return 0


def _named_by_place(paths: Sequence[str], values: Mapping[str, Any]) -> dict[str, str]:
    """Checkpoint and target that are named by words alone, in this order. Raises ConfigError for too many."""
    open_keys = [key for key in ("checkpoint", "to") if key not in values]
    if len(paths) > len(open_keys):
        raise ConfigError(f"ptrun publish: expected CHECKPOINT and TO, got too many words: {' '.join(paths)}.")
    return dict(zip(open_keys, paths, strict=False))
