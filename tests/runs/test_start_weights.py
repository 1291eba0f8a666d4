"""`ptrun train weights=...` starts any model from a file, a checkpoint or a run; resuming needs no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support import Ended, newest_run, run_config

from ptrun.errors import CheckpointError
from ptrun.runs.start_weights import with_weights_file

Call = Callable[..., Ended]
FROZEN = ("optimizer=sgd", "optimizer.lr=1e-12", "train.max_steps=1", "device=cpu")  # training leaves the weights


def weights_of(run_dir: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run_dir / "checkpoints" / f"{name}.pt", weights_only=True)["model"]


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.allclose(one[name], other[name]) for name in one)


def arrays(path: Path, num_classes: int, first: int = 0) -> list[str]:
    """Small vectors of some classes, as settings."""
    values = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    np.savez(path, x_train=values, y_train=np.arange(30) % num_classes + first)
    return ["dataset=arrays", f"dataset.path={path}", "model=simplenet", "model.hidden_features=[5]"]


def test_a_run_starts_from_the_best_weights_of_another(ptrun: Call, folder: Path):
    data = arrays(folder / "a.npz", 3)
    assert ptrun("train", *data, "train.epochs=2", "train.ema_decay=0.5").code == 0
    first = newest_run(folder)
    ended = ptrun("train", *data, *FROZEN, "weights=outputs/latest", "seed=5")
    assert f"4 of 4 tensors loaded from {first / 'checkpoints' / 'best.pt'}\n" in ended.out, ended.err
    averaged = torch.load(first / "checkpoints" / "best.pt", weights_only=True)["ema"]
    started = weights_of(newest_run(folder))
    assert all(torch.allclose(started[name], averaged["module." + name]) for name in started)


@pytest.mark.parametrize("write", [torch.save, save_file])
def test_a_state_dict_of_either_format_in_a_wrapper(write: Callable[..., None], ptrun: Call, folder: Path):
    data = arrays(folder / "a.npz", 3)
    shapes = {"layers.1.weight": (5, 4), "layers.1.bias": (5,), "layers.3.weight": (3, 5), "layers.3.bias": (3,)}
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    write({f"module.{name}": tensor for name, tensor in state.items()}, "w.bin")
    ended = ptrun("train", *data, *FROZEN, "weights=w.bin")
    assert "4 of 4 tensors loaded from w.bin, without 'module' in their names; its head (layers.3) is kept" in ended.out
    assert close(weights_of(newest_run(folder)), state)


def test_other_classes_get_a_new_head(ptrun: Call, folder: Path):
    assert ptrun("train", *arrays(folder / "a.npz", 3), "train.epochs=1").code == 0
    first = weights_of(newest_run(folder), "best")
    for data, reason in (
        (arrays(folder / "b.npz", 3, first=7), "(0, 1, 2) are not the classes of these data (7, 8, 9)"),
        (arrays(folder / "c.npz", 4), "(0, 1, 2) are not the classes of these data (0, 1, 2, 3)"),
    ):
        ended = ptrun("train", *data, *FROZEN, "weights=outputs/latest", "seed=1", "output_dir=other")
        assert "the head (2 tensors: layers.3.bias, layers.3.weight) is new" in ended.out
        assert reason in ended.out
        started = weights_of((folder / "other" / "latest").resolve())
        assert torch.allclose(started["layers.1.weight"], first["layers.1.weight"])
        assert not torch.allclose(started["layers.3.weight"][:3], first["layers.3.weight"])


def test_resuming_needs_neither_file(ptrun: Call, folder: Path):
    data = arrays(folder / "a.npz", 3)
    assert ptrun("train", *data, "train.max_steps=1").code == 0
    Path("w.pt").write_bytes((newest_run(folder) / "checkpoints" / "last.pt").read_bytes())
    assert ptrun("train", *data, "train.epochs=1", "weights=w.pt").code == 0
    Path("w.pt").unlink()
    ended = ptrun("resume", "outputs/latest", "train.epochs=2")
    assert ended.code == 0, ended.err
    assert "tensors loaded" not in ended.out
    assert ptrun("eval", "outputs/latest").code == 0
    assert ptrun("verify", "outputs/latest").code == 0


def test_the_receipt_holds_the_file_and_another_one_is_told_when_reproducing(ptrun: Call, folder: Path):
    data = arrays(folder / "a.npz", 3)
    assert ptrun("train", *data, "train.max_steps=1", "output_dir=first").code == 0
    first = torch.load(folder / "first" / "latest" / "checkpoints" / "last.pt", weights_only=True)["model"]
    torch.save(first, "w.pt")
    assert ptrun("train", *data, "train.max_steps=1", "weights=w.pt").code == 0
    receipt = json.loads((newest_run(folder) / "receipt.json").read_text(encoding="utf-8"))
    assert receipt["weights"]["file"] == str(folder / "w.pt")
    assert ptrun("reproduce", "outputs/latest", "-q").code == 0
    torch.save({name: tensor + 1 for name, tensor in first.items()}, "w.pt")
    ended = ptrun("reproduce", str(folder / "outputs" / "latest"))
    assert ended.code == 1
    assert "weights it started from: " in ended.out


def test_a_path_that_is_wrong_is_told_before_torch_is_imported(process: Call, folder: Path):
    (folder / "torch.py").write_text("raise SystemExit(77)")
    (folder / "page.pt").write_text("<html>")
    for setting, sentence in (
        ("weights=absent.pt", "absent.pt: there is no such file"),
        ("weights=page.pt", "page.pt: is a web page"),
    ):
        ended = process("train", setting)
        assert ended.code == 4
        assert sentence in ended.err


def test_a_path_of_model_weights_is_checked_too():
    with pytest.raises(CheckpointError, match=r"absent\.pth: there is no such file\. model\.weights takes"):
        with_weights_file(run_config("model=transfer", "model.weights=absent.pth"))


def test_the_name_of_published_weights_leads_to_their_setting():
    with pytest.raises(CheckpointError, match=r"chosen by name with model\.weights=DEFAULT"):
        with_weights_file(run_config("model=transfer", "weights=DEFAULT"))


def test_weights_that_do_not_fit_end_with_4_and_names(ptrun: Call, folder: Path):
    torch.save({"a.weight": torch.ones(2, 2)}, "w.pt")
    ended = ptrun("train", *arrays(folder / "a.npz", 3), "weights=w.pt")
    assert ended.code == 4
    assert "w.pt does not fit the model, nothing was loaded" in ended.err
