"""`ptrun verify`: checks checkpoints and run folders for damage."""

from __future__ import annotations

from pathlib import Path

from ptrun.cli.arguments import load_plugins, parse
from ptrun.cli.help import VERIFY_HELP
from ptrun.errors import ConfigError


def main(argv: list[str]) -> int:
    """Verify files and run folders. Returns the exit code."""
    options = parse(argv)
    paths = [word for word in options.overrides if "=" not in word or Path(word).exists()]
    if options.help or not paths:
        print(VERIFY_HELP, end="")
        return 0
    from ptrun.config import compose, load

    values = compose.parse_values([word for word in options.overrides if word not in paths])
    files = [str(file) for file in values.pop("plugins", [])]
    if values:
        raise ConfigError(f"verify: {next(iter(values))} can't be set here; only plugins=[FILE.py].")
    load_plugins(files)
    from ptrun.runs import verify

    return verify.run(paths, files, load.conf_folders(options.config_dir))
