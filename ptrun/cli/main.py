"""Chooses the command that a command line names, and turns its errors into sentences and exit codes.

Imports are light: help, lists and error messages do not wait for torch.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from ptrun.cli import failure
from ptrun.cli.completion import complete
from ptrun.cli.help import HELP
from ptrun.errors import ConfigError, did_you_mean, join_words
from ptrun.version import __version__

# A verb is the file of its name in ptrun/cli/commands/, with a function `main(argv)` that returns the exit code.
VERBS = (
    *("train", "eval", "predict", "export", "publish", "resume", "verify", "reproduce"),
    *("sweep", "runs", "compare", "list", "show", "doctor"),
)
_OTHER_VERBS = {"fit": "train", "val": "eval", "validate": "eval", "test": "eval"}  # words of other tools


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit code. With `--debug` errors keep their traceback."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in argv
    word, *rest = [word for word in argv if word != "--debug"] or ["--help"]
    try:
        if word == "help" and rest[:1] and rest[0] in VERBS:
            word, rest = rest[0], ["--help"]
        if word in ("-h", "--help", "help"):
            print(HELP.format(version=__version__), end="")
            return 0
        if word in ("-V", "--version"):
            print(f"ptrun {__version__}")
            return 0
        if word in ("-sc", "--shell-completion"):
            return complete(rest, VERBS)
        return int(_import_command(word).main(rest))
    except KeyboardInterrupt as interrupt:
        return failure.report_interrupt(interrupt)
    except BrokenPipeError:
        return failure.silence_stdout()
    except Exception as error:
        code = None if debug else failure.report(error)
        if code is None:
            raise
        return code


def _import_command(verb: str) -> ModuleType:
    verb = _OTHER_VERBS.get(verb, verb)
    if verb not in VERBS:
        raise ConfigError(
            f"There is no command '{verb}'.{did_you_mean(verb, VERBS)} Commands: {join_words(VERBS)}. "
            "`ptrun --help` shows examples."
        )
    return importlib.import_module(f"ptrun.cli.commands.{verb}")


if __name__ == "__main__":
    sys.exit(main())
