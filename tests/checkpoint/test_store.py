"""Checkpoints: published whole, verified before use, found by what a user means."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ptrun.checkpoint import names, store
from ptrun.errors import CheckpointError, ResourceError
from ptrun.files.atomic import remove_temporary_files

REST: dict[str, object] = {"config": {}, "spec": {}, "fitted": {}, "progress": {"epoch": 1}, "data": {}}
STATE = {"model": {"w": torch.arange(5000.0)}, **REST}


def test_what_is_saved_is_loaded(tmp_path: Path):
    path = store.publish(tmp_path, STATE, step=12, best=True, keep=2)
    assert path.name == "step-00000012.pt"
    for name in (path.name, "last.pt", "best.pt"):
        loaded = store.load(tmp_path / name)
        assert torch.equal(loaded["model"]["w"], STATE["model"]["w"])
        assert loaded["progress"] == {"epoch": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.pt", "last.pt", "step-00000012.pt"]


def test_the_newest_are_kept_and_the_best_survives(tmp_path: Path):
    for step in range(1, 6):
        store.publish(tmp_path, {**STATE, "step": step}, step=step, best=step == 2, keep=2)
    assert [path.name for path in names.step_files(tmp_path)] == ["step-00000004.pt", "step-00000005.pt"]
    assert store.load(tmp_path / "best.pt")["step"] == 2
    assert store.load(tmp_path / "last.pt")["step"] == 5


@pytest.mark.parametrize(
    "damage", ["flip", "zero page", "truncate 0", "truncate half", "truncate most", "zero all", "text"]
)
def test_damage_is_found(tmp_path: Path, damage: str):
    path = store.publish(tmp_path, STATE, step=1, best=False, keep=2)
    data = bytearray(path.read_bytes())
    middle = data.index(torch.arange(5000.0).numpy().tobytes()[4000:4100])
    if damage == "flip":
        data[middle] ^= 1
    elif damage == "zero page":
        data[middle : middle + 4096] = bytes(4096)
    elif damage.startswith("truncate"):
        data = data[: {"0": 0, "half": len(data) // 2, "most": len(data) - 10}[damage.split()[1]]]
    elif damage == "zero all":
        data = bytearray(len(data))
    else:
        data = bytearray(b"<html>404</html>")
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"step-00000001\.pt"):
        store.load(path)


@pytest.mark.slow
def test_a_kill_while_saving_leaves_the_last_one_whole(tmp_path: Path):
    """Save back to back in a process that is killed at many moments: `last.pt` always loads."""
    script = (
        "import torch, sys\nfrom pathlib import Path\nfrom ptrun.checkpoint import names, store\n"
        "rest = dict.fromkeys(('config', 'spec', 'fitted', 'progress', 'data'), {})\n"
        "state = {'model': {'w': torch.zeros(200_000)}, **rest}\n"
        "for step in range(1, 10**6):\n"
        "    store.publish(Path(sys.argv[1]), state, step=step, best=False, keep=2)\n"
        "    print(step, flush=True)\n"
    )
    for kill in range(6):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(3 + kill):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        store.load(tmp_path / "last.pt")
    remove_temporary_files(tmp_path)
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_told(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(ResourceError, match="can't be written"):
        store.publish(tmp_path, STATE, step=1, best=False, keep=2)


def test_a_limit_of_file_sizes_is_no_full_disk_and_keeps_the_last_one(tmp_path: Path):
    script = (
        "import resource, signal, torch, sys\nfrom pathlib import Path\nfrom ptrun.checkpoint import store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "folder = Path(sys.argv[1])\nrest = dict.fromkeys(('config', 'spec', 'fitted', 'progress', 'data'), {})\n"
        "store.publish(folder, {'model': {'w': torch.zeros(10)}, **rest}, step=1, best=False, keep=2)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    store.publish(folder, {'model': {'w': torch.zeros(10**6)}, **rest}, step=2, best=False, keep=2)\n"
        "except store.ResourceError as error:\n    print(error)\n"
        "print(store.load(folder / 'last.pt')['model']['w'].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "a limit of the system stops the saving of a checkpoint (File too large)" in done.stdout
    assert "disk is full" not in done.stdout
    assert "torch.Size([10])" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.pt", "step-00000001.pt"]


def test_other_torch_files_are_told_apart(tmp_path: Path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"not a checkpoint of ptrun.*ptrun train model=NAME weights=FILE"):
        store.load(tmp_path / "weights.pth")
    torch.save({"format": 99, "model": {}}, tmp_path / "future.pt")
    with pytest.raises(CheckpointError, match="newer ptrun"):
        store.load(tmp_path / "future.pt")
    torch.save({"format": 1, "model": {}, "config": "x"}, tmp_path / "part.pt")
    with pytest.raises(CheckpointError, match="lacks its config, spec, fitted, progress, data"):
        store.load(tmp_path / "part.pt")


def test_a_checkpoint_of_any_name_is_written_whole(tmp_path: Path):
    state = {"model": {"a": torch.ones(2)}, **{part: {} for part in ("config", "spec", "fitted", "progress", "data")}}
    store.write(tmp_path / "new" / "any.pt", state)
    assert torch.equal(store.load(tmp_path / "new" / "any.pt")["model"]["a"], torch.ones(2))
