"""Hostile or mismatching checkpoints and weight files, and YAML files with every trap, get an error message."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import torchvision
from faulty import LEAN, done, latest, load, ptrun, refused, runs

pytestmark = pytest.mark.faults
SMALL = ("train.epochs=1", "device.threads=1", "train.max_steps=2", *LEAN)
CODE = "{_target_: shutil.copyfile, src: victim.txt, dst: stolen.txt}"
ARCH = "shufflenet_v2_x0_5"


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (os.system, ("touch stolen.txt",))


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps on the digits."""
    return done(tmp_path_factory.mktemp("good"), "train", "model=simplenet", *SMALL, "-q")


@pytest.fixture
def folder(tmp_path: Path, run_dir: Path) -> Path:
    """A folder with a copy of that run, and a file that must not be copied."""
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "victim.txt").write_text("secret")
    return tmp_path


# Checkpoints.


def evil(path: Path, good: Path, how: str) -> None:
    state = load(good)
    path.unlink(missing_ok=True)
    if how == "a pickle":
        path.write_bytes(pickle.dumps(Payload()))
    elif how == "code beside the weights":
        torch.save({**state, "x": Payload()}, path)
    elif how == "a tensor of stride 0":
        torch.save({**state, "model": {name: torch.zeros(1).expand(10**12) for name in state["model"]}}, path)
    else:
        buffer = io.BytesIO()
        torch.save({**state, "x": torch.zeros(2**27, dtype=torch.uint8)}, buffer)
        with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for record in source.infolist():
                target.writestr(record.filename, source.read(record), zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 2**22


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("a pickle", "cut off, damaged, or not a checkpoint"),
        ("code beside the weights", "can't be loaded as data only, so it is refused"),
        ("a tensor of stride 0", "with less data than that; it is refused"),
        ("a deflated bomb", "holds compressed records"),
    ],
)
def test_hostile_checkpoints(folder: Path, how: str, sentence: str):
    good = folder / "run" / "checkpoints" / "last.pt"
    evil(folder / "evil.pt", good, how)
    assert sentence in refused(folder, 4, "eval", "checkpoint=evil.pt")
    for path in (folder / "run" / "checkpoints").iterdir():
        if path.name != "last.pt":
            shutil.copy(folder / "evil.pt", path)
    assert sentence in refused(folder, 4, "resume", "run", "train.epochs=2")
    assert not (folder / "stolen.txt").exists()


def test_a_name_with_signs_in_it(folder: Path):
    """It needs quotes, which the message shows."""
    shutil.copy(folder / "run" / "checkpoints" / "last.pt", folder / "lr=0.1, epoch=3.pt")
    quoted = "checkpoint='lr=0.1, epoch=3.pt'"
    assert f'checkpoint="{quoted.partition("=")[2]}"' in refused(folder, 2, "eval", "checkpoint=lr=0.1, epoch=3.pt")
    assert ptrun(folder, "eval", quoted).code == 0


@pytest.mark.parametrize("how", ["a pickle", "code beside the weights", "a tensor of stride 0"])
def test_hostile_weight_files(folder: Path, how: str):
    evil(folder / "evil.pt", folder / "run" / "checkpoints" / "last.pt", how)
    settings = ("model=torchvision", f"model.arch={ARCH}", "model.weights=evil.pt")
    assert "evil.pt" in refused(folder, 4, "train", *settings, *SMALL)
    assert not (folder / "stolen.txt").exists()


def test_a_checkpoint_of_another_head(folder: Path):
    """The checkpoint has ten classes, the data have three."""
    message = refused(folder, 2, "resume", "run", "dataset=iris", "transform=auto", "train.epochs=2")
    assert "dataset.name: the run was started with 'digits', now it is 'iris'" in message
    path = folder / "run" / "checkpoints" / "step-00000002.pt"
    state = load(path)
    last = list(state["model"])[-2:]
    for file in (folder / "run" / "checkpoints").iterdir():
        file.unlink()
    torch.save(
        {**state, "model": {**state["model"], **{name: state["model"][name][:3].clone() for name in last}}}, path
    )
    for words in (("eval", f"checkpoint={path}"), ("resume", "run", "train.epochs=2", "train.max_steps=4")):
        message = refused(folder, 4, *words)
        assert last[0] in message
        assert "[3, 64]" in message
        assert "[10, 64]" in message


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_weight_files_with_the_names_of_a_wrapper(tmp_path: Path, prefix: str):
    """The head (1000 classes) is left out and counted; all other weights are loaded."""
    network = torchvision.models.get_model(ARCH, weights=None)
    torch.save({prefix + name: value for name, value in network.state_dict().items()}, tmp_path / "w.pth")
    settings = ("model=transfer", f"model.arch={ARCH}", "model.weights=w.pth", "model.image_size=32", *SMALL)
    ended = ptrun(tmp_path, "train", *settings)
    assert ended.code == 0, ended.err
    count = len(network.state_dict())
    assert f"{count - 2} of {count} tensors loaded" in " ".join(ended.out.split())
    weights = load(latest(tmp_path) / "checkpoints" / "last.pt")["model"]
    assert torch.equal(weights["backbone.conv1.0.weight"], network.state_dict()["conv1.0.weight"])


def test_weights_of_another_network(tmp_path: Path):
    torch.save({"a.weight": torch.zeros(3, 3)}, tmp_path / "w.pth")
    settings = ("model=transfer", f"model.arch={ARCH}", "model.weights=w.pth", *SMALL)
    message = refused(tmp_path, 4, "train", *settings)
    assert "w.pth" in message
    assert "missing" in message


# Files of a run.


@pytest.mark.parametrize(
    ("name", "content", "code", "sentence"),
    [
        ("status.json", "{", 0, ""),
        ("receipt.json", "[]", 4, "receipt.json: is damaged"),
        ("metrics.jsonl", '{"epoch": 1, "st', 0, ""),
        ("resolved.yaml", "", 0, ""),
    ],
)
def test_damaged_files_of_a_run(folder: Path, name: str, content: str, code: int, sentence: str):
    """What the checkpoint also holds is written again."""
    (folder / "outputs" / "day").mkdir(parents=True)
    (folder / "run").rename(folder / "outputs" / "day" / "run")
    run_dir = folder / "outputs" / "day" / "run"
    (run_dir / name).write_text(content)
    ended = ptrun(folder, "resume", str(run_dir), "train.epochs=2", "train.max_steps=null")
    assert ended.code == code, ended.err
    assert sentence in ended.err
    if code == 0:
        assert json.loads((run_dir / "summary.json").read_text())["epochs"] == 2
        assert json.loads((run_dir / "status.json").read_text())["state"] == "done"


@pytest.mark.parametrize("content", ["", "model: 3", "model: {name: simple", None])
def test_nothing_to_go_on_from(folder: Path, content: str | None):
    """No checkpoint, and the configuration is lost too."""
    shutil.rmtree(folder / "run" / "checkpoints")
    (folder / "run" / "resolved.yaml").unlink()
    if content is not None:
        (folder / "run" / "resolved.yaml").write_text(content)
    assert "resolved.yaml" in refused(folder, 4, "resume", "run")


# YAML.


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "conf" / "experiment" / "mine.yaml"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train:\n  epochs: 1\n  epochs: 2\n", "mine.yaml, line 4: this is not valid YAML: key 'epochs' stands twice"),
        ("train: {epochs: 1, epochs: 2}\n", "key 'epochs' stands twice"),
        ("train:\n\tepochs: 1\n", "mine.yaml, line 3"),
        ("train: [\n", "mine.yaml"),
        ("- 1\n- 2\n", "mine.yaml"),
        ("seed: no\n", "seed: expected int in [0, 18446744073709551616), got false"),
        ("seed: 12:30\n", "line 2: this is not valid YAML: 12:30 would be read as a number of base 60"),
        ("train: {epochs: 010}\n", "010 would be read as a number of base 8"),
        ("optimizer: {lr: 1e-3.5}\n", "optimizer.lr: expected float >= 0, got"),
        ("optimizer: {lr: .nan}\n", "optimizer.lr: expected float >= 0, got nan"),
        ("train: {epochs: !!python/object/apply:os.system ['touch stolen.txt']}\n", "mine.yaml"),
        (f"hydra: {{callbacks: {{x: {CODE}}}}}\n", "code to run"),
        (f"hydra: {{launcher: {CODE}}}\n", "hydra.launcher"),
        (f"hydra: {{job_logging: {{handlers: {{h: {CODE}}}}}}}\n", "code to run"),
        (
            "hydra: {job_logging: {handlers: {h: {(): shutil.copyfile, src: victim.txt, dst: stolen.txt}}}}\n",
            "code to run",
        ),
        (f"model: {CODE}\n", "code to run"),
    ],
)
def test_traps_of_yaml(tmp_path: Path, recipe: Path, text: str, sentence: str):
    (tmp_path / "victim.txt").write_text("secret")
    recipe.write_text(f"# @package _global_\n{text}")
    assert sentence in refused(tmp_path, 2, "train", "experiment=mine")
    assert not (tmp_path / "stolen.txt").exists()
    assert runs(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00s", b"\x00"])
def test_files_that_hold_nothing(tmp_path: Path, recipe: Path, content: bytes):
    recipe.write_bytes(content)
    assert "mine.yaml" in refused(tmp_path, 2, "train", "experiment=mine")
    assert runs(tmp_path) == []


def test_a_name_that_hydra_does_not_read(tmp_path: Path, recipe: Path):
    recipe.with_suffix(".yml").write_text("# @package _global_\nseed: 1\n")
    assert "Rename it to mine.yaml" in refused(tmp_path, 2, "train", "experiment=mine")


@pytest.mark.parametrize("nested", [False, True])
def test_an_alias_bomb_takes_less_than_a_second(tmp_path: Path, recipe: Path, nested: bool):
    """Of processor time: the system would end the process after one."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    recipe.write_text("# @package _global_\n" + ("label:\n  " + "\n  ".join(lines) if nested else "\n".join(lines)))
    ended = ptrun(tmp_path, "train", "experiment=mine", limits="ulimit -t 1; ulimit -v 1000000")
    assert ended.code == 2, (ended.code, ended.err)
    assert "aliases" in ended.err
