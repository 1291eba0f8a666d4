"""Which errors are sentences with an exit code, and which are bugs that keep their traceback."""

from __future__ import annotations

import errno

import pytest

from ptrun.cli import failure
from ptrun.errors import ConfigError, DataError, Interrupted


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigError(["a: wrong.", "b: wrong."]), 2, "error: 2 problems:\n  1. a: wrong.\n  2. b: wrong.\n"),
        (DataError("x.csv: there is no such file."), 3, "error: x.csv: there is no such file.\n"),
        (MemoryError(), 6, "error: Out of memory. Try a smaller train.batch_size"),
        (RuntimeError("CUDA out of memory"), 6, "error: Out of memory."),
        (OSError(errno.ENOSPC, "No space left", "last.pt"), 6, "error: last.pt: can't be written or read (No space"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            6,
            "Check the permissions, or choose another output_dir.",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "x"), 6, "(Disk quota exceeded). Raise your quota"),
        (OSError(errno.EFBIG, "File too large", "x"), 6, "(File too large). Raise the limit of file sizes"),
    ],
)
def test_an_error_that_a_user_can_act_on(error: Exception, code: int, text: str, capsys: pytest.CaptureFixture[str]):
    assert failure.report(error) == code
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("shapes"), OSError(errno.EINVAL, "Invalid argument")])
def test_a_bug_of_the_program_is_not_hidden(error: Exception, capsys: pytest.CaptureFixture[str]):
    assert failure.report(error) is None
    assert capsys.readouterr().err == ""


def test_an_interrupted_run_can_be_resumed_other_commands_can_not(capsys: pytest.CaptureFixture[str]):
    resumable = KeyboardInterrupt()
    resumable.__cause__ = Interrupted("stopped")
    assert failure.report_interrupt(resumable) == 75
    assert failure.report_interrupt(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "stopped\nStopped by the keyboard.\n"
