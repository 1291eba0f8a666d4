"""`ptrun verify` finds what is damaged in a checkpoint or a run folder, and says which thing and how."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended, train

from ptrun.checkpoint import store

Call = Callable[..., Ended]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    base = tmp_path_factory.mktemp("finished")
    return train(
        "model=simplenet", "train.epochs=4", "checkpoint.keep_best=2", f"output_dir={base}", quiet=True
    ).run_dir


@pytest.fixture
def run_dir(finished: Path, folder: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(finished, folder / "run"))


def lines(ended: Ended, word: str) -> list[str]:
    return [line for line in ended.out.splitlines() if line.startswith(word)]


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    state = store.load(path)
    change(state)
    path.unlink()
    torch.save(state, path)


def test_a_whole_run_is_ok(run_dir: Path, ptrun: Call):
    ended = ptrun("verify", str(run_dir))
    assert ended.code == 0, ended.out
    assert len(lines(ended, "ok")) == len(ended.out.splitlines()) == 10
    assert "epoch 4, step 160" in ended.out
    assert "4 tensors fit model 'simplenet'" in ended.out
    assert "4 epochs, without a gap" in ended.out
    assert ptrun("verify", str(run_dir / "checkpoints" / "best.pt")).code == 0


def flip(run_dir: Path) -> None:
    path = run_dir / "checkpoints" / "step-00000160.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def drop_weight(run_dir: Path) -> None:
    rewrite(run_dir / "checkpoints" / "last.pt", lambda s: s["model"].popitem())  # type: ignore[attr-defined]


def resize_weight(run_dir: Path) -> None:
    def change(state: dict[str, object]) -> None:
        state["model"][next(iter(state["model"]))] = torch.zeros(3)  # type: ignore[index,call-overload]

    rewrite(run_dir / "checkpoints" / "last.pt", change)


def poison_weight(run_dir: Path) -> None:
    rewrite(run_dir / "checkpoints" / "last.pt", lambda s: next(iter(s["model"].values())).view(-1)[3].fill_(torch.inf))  # type: ignore[attr-defined]


def edit_lines(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def damage(run_dir: Path) -> None:
        path = run_dir / name
        path.write_text("".join(change(path.read_text().splitlines(keepends=True))))

    return damage


@pytest.mark.parametrize(
    ("damage", "thing", "said"),
    [
        (flip, "checkpoints/step-00000160.pt", "damaged"),
        (drop_weight, "checkpoints/last.pt", "absent"),
        (resize_weight, "checkpoints/last.pt", "is [3], expected ["),
        (poison_weight, "checkpoints/last.pt", "non-finite"),
        (edit_lines("metrics.jsonl", lambda x: [x[0], *x[2:]]), "metrics.jsonl", "line 2 is of epoch 3, expected 2"),
        (edit_lines("metrics.jsonl", lambda x: [x[0], x[0], *x[1:]]), "metrics.jsonl", "line 2 is of epoch 1"),
        (edit_lines("metrics.jsonl", lambda x: x[:-1]), "metrics.jsonl", "3 lines, but summary.json says 4"),
        (edit_lines("metrics.jsonl", lambda x: [*x[:-1], x[-1][:-9]]), "metrics.jsonl", "line 4 is not a record"),
        (edit_lines("metrics.csv", lambda x: x[:-1]), "metrics.csv", "has 4 lines, expected 5"),
        (edit_lines("metrics.csv", lambda x: [*x[:2], "9" + x[2], *x[3:]]), "metrics.csv", "line 3 differs"),
        (lambda d: (d / "receipt.json").unlink(), "receipt.json", "missing"),
        (lambda d: (d / "summary.json").write_text("{"), "summary.json", "Expecting"),
        (lambda d: (d / "status.json").write_text('{"state": "fine"}'), "status.json", "expected one of running"),
        (lambda d: shutil.rmtree(d / "checkpoints"), "checkpoints", "there are none, although"),
        (lambda d: (d / "resolved.yaml").write_text("a: ["), "config.yaml, resolved.yaml", "expected"),
    ],
)
def test_damage_is_named(run_dir: Path, ptrun: Call, damage: Callable[[Path], object], thing: str, said: str):
    damage(run_dir)
    ended = ptrun("verify", str(run_dir))
    assert ended.code == 4
    named = {line.split()[1].rstrip(":,") for line in lines(ended, "DAMAGED")}
    assert thing.split(",")[0] in named
    assert any(said in line for line in lines(ended, "DAMAGED")), ended.out
    assert len(named) <= 3  # csv, jsonl and summary tell of each other; nothing else does
    assert lines(ended, "ok")


def test_every_name_of_a_damaged_file_is_called_damaged(run_dir: Path, ptrun: Call):
    newest, last = (run_dir / "checkpoints" / name for name in ("step-00000160.pt", "last.pt"))
    last.unlink()
    last.hardlink_to(newest)  # as a run makes it; the copy that a test damages has lost the link
    with last.open("r+b") as file:
        file.seek(last.stat().st_size // 2)
        file.write(b"X" * 64)
    damaged = lines(ptrun("verify", str(run_dir)), "DAMAGED")
    assert any(line.startswith(f"DAMAGED  checkpoints/{newest.name}: the record") for line in damaged)
    assert f"DAMAGED  checkpoints/last.pt: the same file as {newest.name}." in damaged


def test_a_killed_run_is_whole_and_said(run_dir: Path, ptrun: Call):
    (run_dir / "status.json").write_text(json.dumps({"state": "running"}))
    (run_dir / "summary.json").unlink()
    ended = ptrun("verify", str(run_dir))
    assert ended.code == 0, ended.out
    assert "it was killed" in ended.out


@pytest.mark.slow
def test_a_plugins_model_is_compared_only_when_its_file_is_named(folder: Path, process: Call):
    (folder / "mine.py").write_text(
        "import torch\nfrom ptrun.registry import models\nfrom torch import nn\nfrom pathlib import Path\n"
        "Path('ran.txt').touch()\n\n@models.register\ndef verified_tiny(spec):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(spec.num_features, spec.num_outputs))\n"
    )
    ended = process("train", "plugins=[mine.py]", "model=verified_tiny", "train.epochs=1", "-q")
    assert ended.code == 0, ended.err
    assert "2 tensors fit" in process("verify", "outputs/latest", "plugins=[mine.py]").out
    (folder / "ran.txt").unlink()
    ended = process("verify", "outputs/latest")
    assert ended.code == 0
    assert "plugins=[FILE.py]" in ended.out
    assert not (folder / "ran.txt").exists()


def test_what_is_neither_is_told(folder: Path, ptrun: Call):
    assert ptrun("verify", "nothing").code == 4
    (folder / "empty").mkdir()
    assert "neither a checkpoint file nor the folder" in ptrun("verify", "empty").err
    (folder / "page.pt").write_text("<html>")
    assert "DAMAGED  page.pt" in ptrun("verify", "page.pt").out
    assert "can't be set here" in ptrun("verify", "page.pt", "optimizer.lr=1").err
    assert ptrun("verify", "--help").out.startswith("ptrun verify PATH")
