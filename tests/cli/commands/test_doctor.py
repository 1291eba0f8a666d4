"""`ptrun doctor`: as text and as JSON, and what it says where training can't work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ptrun.cli.commands.doctor import main


def test_json_has_versions_devices_speed_and_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--device", "cpu", "--output-dir", str(tmp_path / "not" / "yet")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["failures"] == []
    assert (
        report["versions"]["torch"] == torch.__version__.split("+")[0]
        or report["versions"]["torch"] == torch.__version__
    )
    assert report["devices"]["used here"] == "cpu"
    assert report["compute"]["autograd"] is True
    assert report["compute"]["matmul 1024"] > 0.1
    assert report["compute"]["memory copy"] > 0.01
    assert report["room"]["disk"] > 0
    assert list(tmp_path.iterdir()) == []  # the test file is gone, and the folder was not made


def test_text_ends_with_ok_and_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--output-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("ok: ")
    assert {"Versions", "Devices", "Compute", "Room"} <= set(lines)


def test_an_absent_device_is_a_failure_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = next(
        (name for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.mps.is_available())) if not there),
        None,
    )
    assert absent is not None
    assert main(["--device", absent, "--output-dir", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert f"'{absent}'" in captured.err
    assert "ok: " not in captured.out


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert main(["--output-dir", str(tmp_path)]) == 1
    assert "PermissionError" in capsys.readouterr().err


def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "from ptrun.cli.commands.doctor import main\n"
        "sys.exit(main(['--output-dir', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No module named 'torch'" in done.stderr
    assert "Traceback" not in done.stderr
