"""Tab completion, in real shells where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """An environment in which `ptrun` is a command, as after an installation."""
    code = "import sys; from ptrun.cli.main import main; sys.exit(main())"
    (folder / "ptrun").write_text(f"#!{sys.executable}\n{code}\n")
    (folder / "ptrun").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


BASH = r"""
eval "$(ptrun -sc install=bash)"
COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
hydra_bash_completion
printf '%s\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ptrun tr", "train"),
        ("ptrun train model=c", "model=convnet"),
        ("ptrun train optimizer.l", "optimizer.lr="),
        ("ptrun show datas", "dataset="),
        ("ptrun eval spl", "split="),
        ("ptrun export form", "format="),
    ],
)
def test_bash(environment: dict[str, str], line: str, expected: str):
    script = BASH.format(line=line)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert expected in done.stdout.split(), done


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_of_other_shells(environment: dict[str, str], shell: str):
    command = ["ptrun", "-sc", f"install={shell}"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "ptrun" in done.stdout
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=done.stdout, text=True, check=False).returncode == 0


@pytest.mark.parametrize(("line", "expected"), [("ptrun train model=c", "model=convnet"), ("ptrun t", "train")])
def test_fish_asks_with_the_words_so_far(environment: dict[str, str], line: str, expected: str):
    command = ["ptrun", "-sc", "query=fish"]
    done = subprocess.run(command, capture_output=True, text=True, env={**environment, "COMP_LINE": line}, check=True)
    assert expected in done.stdout.splitlines()
