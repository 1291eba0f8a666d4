"""What can be told without Slurm; tests/faults/test_slurm.py starts workers by a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config.sweep import as_settings
from ptrun.errors import ConfigError, ResourceError
from ptrun.sweeps.launch import slurm


def test_without_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no command sbatch here"):
        slurm.check(as_settings({"launch": "slurm"}))


def test_the_script_is_an_array_of_workers_and_a_refusal_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'no partition' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    settings = as_settings({"launch": "slurm", "workers": 3, "slurm_options": "--gres=gpu:1 --time=60"})
    with pytest.raises(ResourceError, match=r"sbatch refused .*slurm\.sh: no partition"):
        slurm.start(settings, tmp_path)
    script = (tmp_path / "slurm.sh").read_text()
    assert "--array=0-2 --requeue" in script
    assert "#SBATCH --gres=gpu:1\n#SBATCH --time=60\n" in script
    assert f"sweep work {tmp_path} -q" in script
