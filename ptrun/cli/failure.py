"""What a failed command prints, and its exit code."""

from __future__ import annotations

import errno
import os
import sys

from ptrun.errors import ConfigError, Interrupted, PtrunError, ResourceError, is_out_of_memory
from ptrun.process.signals import READER_GONE, STOPPED_BY_KEYBOARD
from ptrun.terminal import console

_DISK_ERRORS = {  # and what to do about each
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Raise your quota, remove some files",
    errno.EFBIG: "Raise the limit of file sizes (`ulimit -f`)",
    errno.EROFS: "Check whether the disk is mounted for writing",
    errno.EACCES: "Check the permissions",
}


def report(error: Exception) -> int | None:
    """Print an error and return its exit code; print nothing and return None when it is a bug of the program."""
    if isinstance(error, Interrupted):  # what the user or a scheduler wanted is no error
        print(str(error), file=sys.stderr)
        return error.exit_code
    if isinstance(error, PtrunError):
        console.error(error.problems if isinstance(error, ConfigError) else str(error))
        return error.exit_code
    if is_out_of_memory(error):
        console.error(
            "Out of memory. Try a smaller train.batch_size (with train.grad_accumulation the optimizer still sees the "
            "large batch), or a smaller model."
        )
        return ResourceError.exit_code
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        path = error.filename or "A file of the run"
        console.error(
            f"{path}: can't be written or read ({error.strerror}). {_DISK_ERRORS[error.errno]}, or choose another "
            "output_dir."
        )
        return ResourceError.exit_code
    return None


def report_interrupt(interrupt: KeyboardInterrupt) -> int:
    """Print what stopped the command; the exit code says whether a run can be resumed."""
    stopped = interrupt.__cause__ if isinstance(interrupt.__cause__, Interrupted) else interrupt
    print(str(stopped) or "Stopped by the keyboard.", file=sys.stderr)
    return int(getattr(stopped, "exit_code", STOPPED_BY_KEYBOARD))


def silence_stdout() -> int:
    """Discard what is still to be printed after the reader of a pipe has gone, as in `ptrun list | head`.

    The exit code is not 0, because what was not printed may have been bad news.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE
