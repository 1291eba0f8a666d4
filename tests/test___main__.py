"""`python -m ptrun`: the exit code of the process is that of the command, and Ctrl-C ends it with a sentence."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, Ended

Call = Callable[..., Ended]


def test_the_exit_code_is_that_of_the_command(process: Call):
    assert process("--version").code == 0
    assert process("trian").code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to itself")
def test_ctrl_c_is_handled_before_anything_else_is_imported(folder: Path):
    code = (
        "import os, signal, sys\nimport ptrun.__main__ as entry\n"
        "assert 'ptrun.cli.main' not in sys.modules\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'ptrun.cli': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\nentry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "Stopped by the keyboard.\n"
