"""`ptrun verify`: checks checkpoints and run folders for damage."""

from __future__ import annotations

from ptrun.cli.arguments import Parser, add_config_dir_flag, split_words
from ptrun.errors import ConfigError

HELP = """\
ptrun verify PATH [PATH ...] [plugins=[FILE.py]] [flags]

  ptrun verify outputs/latest                  a run folder: every checkpoint, the metrics, the receipt, the status
  ptrun verify model.pt                        one checkpoint file
  ptrun verify RUN plugins=[FILE.py]           with the file of your own components, which a checkpoint never names

A checkpoint is undamaged when the checksum of each record is right, it loads as data only (it holds no code), its
numbers are finite, and its weights have the names and shapes of the model that it declares. Prints one line for each
item checked. Exit code 4 when one of them is damaged.

Flags: --debug; --config-dir DIR
"""


def main(argv: list[str]) -> int:
    """Verify files and run folders. Returns the exit code."""
    parser = Parser("verify")
    parser.add_argument("words", nargs="*")
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help or not options.words:
        print(HELP, end="")
        return 0
    paths, values = split_words(options.words)
    if not paths:
        print(HELP, end="")
        return 0
    from ptrun.config.folders import conf_folders
    from ptrun.config.load import import_components

    plugins = [str(file) for file in values.pop("plugins", [])]
    if values:
        raise ConfigError(f"ptrun verify: {next(iter(values))} can't be set here. Only plugins=[FILE.py] can.")
    import_components(plugins)
    from ptrun.runs import verify

    return verify.run(paths, plugins, conf_folders(options.config_dir))
