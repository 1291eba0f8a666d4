"""argv → command. Light imports only: help, lists and errors must not wait for torch.

Invariant: a PtrunError ends the process with its exit code and its sentences, never with a traceback
unless `--debug` asks for one.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence

from ptrun.cli.completion import complete
from ptrun.cli.help import HELP
from ptrun.errors import ConfigError, Interrupted, PtrunError, ResourceError, did_you_mean, is_out_of_memory
from ptrun.process.signals import READER_GONE, STOPPED_BY_KEYBOARD
from ptrun.terminal import console
from ptrun.version import __version__

# A verb is the file of its name in ptrun/cli/commands/.
VERBS = ("train", "eval", "resume", "verify", "reproduce", "list", "show", "doctor")
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in argv
    argv = [word for word in argv if word != "--debug"]
    try:
        return _dispatch(argv)
    except PtrunError as error:
        if debug:
            raise
        console.error(error.problems if isinstance(error, ConfigError) else str(error))
        return error.exit_code
    except KeyboardInterrupt as error:
        console.error("Stopped by the keyboard.")
        return Interrupted.exit_code if isinstance(error.__cause__, Interrupted) else STOPPED_BY_KEYBOARD
    except BrokenPipeError:  # `ptrun list | head`; not 0, because what was not printed may have been bad news
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (MemoryError, RuntimeError) as error:
        if debug or not is_out_of_memory(error):
            raise
        console.error(
            "Out of memory. Try a smaller train.batch_size (with train.grad_accumulation the optimizer still sees the large batch), or a smaller model."
        )
        return ResourceError.exit_code
    except OSError as error:
        if debug or error.errno not in _OF_THE_DISK:
            raise
        where = error.filename or "A file of the run"
        console.error(
            f"{where}: can't be written or read ({error.strerror}). Free some space, check the permissions, or choose another output_dir."
        )
        return ResourceError.exit_code


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(HELP.format(version=__version__), end="")
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"ptrun {__version__}")
        return 0
    if argv[0] in ("-sc", "--shell-completion"):
        return complete(argv[1:], VERBS)
    verb, arguments = argv[0], argv[1:]
    if verb not in VERBS:
        raise ConfigError(
            f"There is no command '{verb}'.{did_you_mean(verb, VERBS)} Commands: {', '.join(VERBS)}. `ptrun --help` shows examples."
        )
    command = importlib.import_module(f"ptrun.cli.commands.{verb}")
    code: int = command.main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
