"""The receipt says what was run, where, and on which code."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from support import ROOT, Ended, newest_run

from ptrun.runs.receipt import PACKAGES, make_receipt

Call = Callable[..., Ended]


def test_a_receipt_names_command_versions_and_hardware(folder: Path):
    receipt = make_receipt(["ptrun", "train", "label=first try"], ["label=first try"])
    assert shlex.split(receipt["command"]) == ["ptrun", "train", "label=first try"]
    assert receipt["overrides"] == ["label=first try"]
    assert receipt["working_folder"] == str(folder)
    assert set(receipt["packages"]) == set(PACKAGES)
    assert receipt["packages"]["torch"].partition("+")[0] == str(torch.__version__).partition("+")[0]
    assert receipt["python"] == ".".join(map(str, sys.version_info[:3]))
    assert receipt["hardware"]["cores"] == os.cpu_count()
    assert receipt["git"] is None
    assert json.loads(json.dumps(receipt)) == receipt


def test_the_digest_of_the_code_changes_with_it(folder: Path):
    copy = folder / "copy"
    shutil.copytree(ROOT / "ptrun", copy / "ptrun")
    program = "from ptrun.runs.receipt import make_receipt; print(make_receipt([], [])['code'])"

    def digest() -> str:
        env = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=copy).stdout.strip()

    assert digest() == make_receipt([], [])["code"]
    with (copy / "ptrun" / "version.py").open("a") as file:
        file.write("# a change\n")
    assert digest() != make_receipt([], [])["code"]


def test_a_run_keeps_the_uncommitted_code_it_began_with(folder: Path, ptrun: Call):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    (folder / "model.py").write_text("x = 1\n")
    for arguments in (["init", "-q"], ["add", "model.py"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    (folder / "model.py").write_bytes(b"x = 'caf\xe9'\n")  # not UTF-8
    assert ptrun("train", "model=simplenet", "train.epochs=1", "-q").code == 0
    run_dir = newest_run(folder)
    receipt = json.loads((run_dir / "receipt.json").read_text())
    assert receipt["git"]["dirty"] is True
    assert len(receipt["git"]["commit"]) == 40
    assert b"+x = 'caf\xe9'" in (run_dir / "code.diff").read_bytes()
