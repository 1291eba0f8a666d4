"""The end of standard input is seen without waiting for it."""

from __future__ import annotations

import subprocess
import sys

from support import ROOT

PROGRAM = """
import sys
from ptrun.process.standard_input import has_ended
print(has_ended(), flush=True)
while not has_ended():
    pass
print("ended")
"""


def test_an_open_input_and_its_end():
    words = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("what stands in it is thrown away\n")
        process.stdin.flush()
        assert process.stdout.readline() == "False\n"
        process.stdin.close()
        assert process.stdout.read() == "ended\n"
    assert process.returncode == 0


def test_a_closed_input_has_ended():
    done = subprocess.run(
        ["sh", "-c", f"exec '{sys.executable}' -c '{PROGRAM}' <&-"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == "True\nended\n"
