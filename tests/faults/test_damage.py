"""Damaged checkpoints are named and skipped; when all are damaged the command ends with 4 and overwrites nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty import INSTANTS, KILLED, LEAN, assert_equal_runs, checkpoints, done, latest, ptrun, python, refused, runs

pytestmark = pytest.mark.faults
RUN = ("model=simplenet", "train.epochs=4", "train.batch_size=128", "device.threads=1", "checkpoint.keep_best=2", *LEAN)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return done(tmp_path_factory.mktemp("undamaged"), "train", *RUN, "-q")


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that died in its third epoch."""
    folder = tmp_path_factory.mktemp("killed")
    assert ptrun(folder, "train", *RUN, INSTANTS, DIE_AT="1 remove step").code == KILLED
    return folder


@pytest.fixture
def folder(tmp_path: Path, killed: Path) -> Path:
    """A copy of that folder."""
    shutil.copytree(killed / "outputs", tmp_path / "outputs", symlinks=True)
    return tmp_path


def replace(path: Path, content: bytes) -> None:
    """Write a new file under this name; writing into the old one would change its hard links too."""
    path.unlink()
    path.write_bytes(content)


def flip(content: bytes, at: int, bits: int = 1) -> bytes:
    return content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :]


def within_weights(content: bytes) -> int:
    """A position in the largest tensor, far from the other records."""
    return content.index(b"data/0") + 2000


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": lambda c: flip(c, within_weights(c)),
    "a flipped bit in the list of records": lambda c: flip(c, c.rindex(b"PK\x01\x02") + 20),
    "a tensor that is marked as a folder": lambda c: flip(c, c.rindex(b"PK\x01\x02", 0, c.rindex(b"data/0")) + 38, 16),
    "a zeroed page": lambda c: c[: within_weights(c)] + bytes(4096) + c[within_weights(c) + 4096 :],
    "nothing but zeros": lambda c: bytes(len(c)),
    "nothing left": lambda c: b"",
    "10 % left": lambda c: c[: len(c) // 10],
    "50 % left": lambda c: c[: len(c) // 2],
    "99.9 % left": lambda c: c[: len(c) * 999 // 1000],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_newest_is_damaged(folder: Path, whole: Path, damage: str):
    newest = checkpoints(latest(folder))[-1]
    replace(newest, DAMAGES[damage](newest.read_bytes()))
    ended = ptrun(folder, "resume")
    assert ended.code == 0, ended.err
    assert "Passed over" in ended.out
    assert newest.name in ended.out
    assert_equal_runs(latest(folder), whole)
    assert len(runs(folder)) == 1


def test_verify_and_eval_find_damage(tmp_path: Path, folder: Path):
    good = checkpoints(latest(folder))[-1]
    files = {name: tmp_path / f"{name}.pt" for name in DAMAGES}
    for name, path in files.items():
        path.write_bytes(DAMAGES[name](good.read_bytes()))
    message = ptrun(tmp_path, "verify", str(good), *map(str, files.values()))
    assert message.code == 4, message.err
    for path in files.values():
        assert path.name in message.out + message.err
    assert "50 % left.pt" in refused(tmp_path, 4, "eval", f"checkpoint={files['50 % left']}")


def test_all_numbered_ones_are_damaged_and_the_best_is_not(folder: Path, whole: Path):
    for path in checkpoints(latest(folder)):
        replace(path, path.read_bytes()[:-1000])
    ended = ptrun(folder, "resume")
    assert ended.code == 0, ended.err
    assert ended.out.count("Passed over") == 3
    assert_equal_runs(latest(folder), whole)


@pytest.mark.parametrize("command", [("resume",), ("train", *RUN, "resume=auto")])
def test_all_are_damaged(folder: Path, command: tuple[str, ...]):
    run_dir = latest(folder)
    for path in (run_dir / "checkpoints").iterdir():
        replace(path, flip(path.read_bytes(), within_weights(path.read_bytes())))
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    message = refused(folder, 4, *command)
    assert "every checkpoint of this run is damaged; it can't be continued" in message
    assert "step-00000030.pt" in message
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before
    assert len(runs(folder)) == 1


def test_a_damaged_run_of_another_configuration_is_none_of_ours(folder: Path, whole: Path):
    damaged = latest(folder)
    for path in (damaged / "checkpoints").iterdir():
        replace(path, b"")
    run_dir = done(folder, "train", *RUN, "seed=1", "resume=auto")
    assert run_dir != damaged


# Flips a bit in many positions of a checkpoint. It must be detected, or change nothing that is loaded (zip padding).
FLIPS = """
import random, sys
from pathlib import Path
import torch
from ptrun.checkpoint import store
from ptrun.errors import CheckpointError


def plain(value):
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else repr(value)


path, changed, draw = Path(sys.argv[1]), Path("changed.pt"), random.Random(0)
content, good = path.read_bytes(), plain(store.load(path))
detected, directory = 0, content.index(b"PK\\x01\\x02")  # the list of records, at the end
for number in range(int(sys.argv[2])):
    at = draw.randrange(directory if number % 2 else 0, len(content))
    changed.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1:])
    try:
        state = store.load(changed)
    except CheckpointError:
        detected += 1
    else:
        assert plain(state) == good, at
print(detected)
"""


def test_a_bit_flipped_anywhere_is_found_or_harmless(folder: Path):
    ended = python(folder, FLIPS, str(checkpoints(latest(folder))[-1]), "600")
    assert ended.code == 0, ended.err
    assert int(ended.out) > 300
