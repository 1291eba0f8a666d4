"""Files of weights: real formats are read, damage is noticed, code is never run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ptrun.errors import CheckpointError
from ptrun.models.weights.stored import averaged_or_own, load_weights_file


def small_network(num_outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, num_outputs))


def saved(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        lambda s: {"model": s, "epoch": 3},
        lambda s: {"state_dict": s},
        lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}, "param_groups": []}},
        lambda s: {"model_ema": {"n_averaged": torch.tensor(2), **s}},
        lambda s: {"model": {name: t + 1 for name, t in s.items()}, "model_ema": s},
        lambda s: {"args": {"lr": 1.0}, "generator": s},
        lambda s: {"state_dict": {"model": s}},
    ],
)
def test_a_state_dict_is_found_alone_or_inside(wrap, tmp_path):
    state = small_network().state_dict()
    loaded = load_weights_file(saved(tmp_path, wrap(state))).tensors
    assert loaded.keys() == state.keys()
    assert torch.equal(loaded["0.weight"], state["0.weight"])


def test_the_old_format_is_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save(small_network().state_dict(), path, _use_new_zipfile_serialization=False)
    assert "0.weight" in load_weights_file(path).tensors


def test_one_flipped_bit_is_noticed(tmp_path):
    path = saved(tmp_path, {"weight": torch.arange(10_000.0)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert len(torch.load(path, weights_only=True)["weight"]) == 10_000  # torch itself does not notice
    with pytest.raises(CheckpointError, match="is damaged"):
        load_weights_file(path)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda p: None, "there is no such file"),
        (lambda p: p.mkdir(), "this is a folder"),
        (lambda p: p.write_text("<!DOCTYPE html><html>"), "is a web page"),
        (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1"), "is a Git LFS pointer"),
        (lambda p: p.write_bytes(b"\x00" * 100), "can't be read as a file of weights"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_bytes(b"\xff" * 8 + b'{"a"'), "is damaged or no file of safetensors"),
        (lambda p: torch.save({"weight": _Evil()}, p), "can't be read as a file of weights"),
        (lambda p: torch.save([1, 2], p), "holds no state dict"),
        (lambda p: torch.save({"weight": torch.ones(2), "epoch": 3}, p), "these entries are something else: epoch"),
    ],
)
def test_what_is_no_weights_file_is_refused_in_a_sentence(write, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.pth"
    write(path)
    with pytest.raises(CheckpointError) as caught:
        load_weights_file(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_a_cut_file_is_refused(tmp_path):
    path = saved(tmp_path, {"weight": torch.arange(10_000.0)})
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights_file(path)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
def test_safetensors_are_read_whatever_their_name(name, tmp_path):
    state = small_network().state_dict()
    save_file(state, tmp_path / name)
    loaded = load_weights_file(tmp_path / name).tensors
    assert loaded.keys() == state.keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.items())


def test_a_cut_file_of_safetensors_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.arange(100.0)}, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="is damaged or no file of safetensors"):
        load_weights_file(path)


def test_several_networks_in_one_file_are_not_guessed(tmp_path):
    state = small_network().state_dict()
    with pytest.raises(CheckpointError, match="something else: generator, critic"):
        load_weights_file(saved(tmp_path, {"generator": state, "critic": state}))


def test_the_averaged_weights_of_a_checkpoint_come_first():
    own, averaged = {"a": torch.ones(1)}, {"a": torch.zeros(1)}
    ema = {"n_averaged": torch.tensor(3), "module.a": averaged["a"]}
    assert averaged_or_own({"model": own, "ema": None}) == own
    assert averaged_or_own({"model": own, "ema": ema}) == averaged


def test_which_weights_of_the_file_are_meant_is_told(tmp_path):
    assert "('model_ema')" in load_weights_file(saved(tmp_path, {"model_ema": small_network().state_dict()})).source


def test_a_damaged_checkpoint_of_ptrun_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="is a damaged checkpoint of ptrun"):
        load_weights_file(saved(tmp_path, {"format": 1, "model": {}, "config": {}, "spec": {"layout": "image"}}))
