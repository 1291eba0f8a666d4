"""Weights files: real formats are read, damage is noticed, and a file that does not fit changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from ptrun.errors import CheckpointError
from ptrun.models.pretrained_weights import load_weights_file, match_weights


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
    ],
)
def test_a_state_dict_is_found_alone_or_inside(wrap, tmp_path):
    state = small_network().state_dict()
    loaded = load_weights_file(saved(tmp_path, wrap(state)))
    assert loaded.keys() == state.keys()
    assert torch.equal(loaded["0.weight"], state["0.weight"])


@pytest.mark.parametrize(
    "wrapped",
    ["module._orig_mod.{0}.{1}", "_orig_mod.module.{0}.{1}", "model.{0}.{1}", "net.module.{0}.{1}",
     "module.{0}._orig_mod.{1}", "{0}.module.{1}"],
)  # fmt: skip
def test_the_names_of_wrappers_are_passed_over_in_any_place(wrapped: str):
    network, source = small_network(), small_network()
    state = {wrapped.format(*name.split(".")): tensor for name, tensor in source.state_dict().items()}
    assert match_weights(network, state, source="FILE", head="2") == "9 of 9 tensors loaded from FILE"
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_a_network_keeps_its_own_names_that_look_like_wrappers():
    network, source = (nn.ModuleDict({"net": small_network(), "head": nn.Linear(2, 2)}) for _ in range(2))
    for prefix in ("", "module."):
        state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
        assert match_weights(network, state, source="FILE", head="head") == "11 of 11 tensors loaded from FILE"
    assert torch.equal(network["net"][0].weight, source["net"][0].weight)


def test_two_networks_in_one_file_are_not_mixed():
    state = {
        f"{name}.{key}": tensor for name in ("model", "net") for key, tensor in small_network().state_dict().items()
    }
    with pytest.raises(CheckpointError, match="does not fit the model"):
        match_weights(small_network(), state, source="FILE", head="2")


def test_the_old_format_is_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save(small_network().state_dict(), path, _use_new_zipfile_serialization=False)
    assert "0.weight" in load_weights_file(path)


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
        (lambda p: p.write_bytes(b""), "can't be read as a file of weights"),
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


def test_half_precision_is_cast_and_absent_counters_are_tolerated():
    network, source = small_network(), small_network()
    state = {name: t.half() for name, t in source.state_dict().items() if not name.endswith("num_batches_tracked")}
    note = match_weights(network, state, source="FILE", head="2")
    assert network[0].weight.dtype is torch.float32
    assert torch.equal(network[0].weight, source[0].weight.half().float())
    assert note.startswith(
        "8 of 8 tensors loaded from FILE; 1 counters of batches (num_batches_tracked) are not in the file"
    )


def test_a_head_of_another_size_is_new_and_counted():
    network, source = small_network(3), small_network(1000)
    own_head = network[2].weight.clone()
    note = match_weights(network, source.state_dict(), source="FILE", head="2")
    assert note == "7 of 9 tensors loaded from FILE; the head (2 tensors: 2.bias, 2.weight) is new"
    assert torch.equal(network[0].weight, source[0].weight)
    assert torch.equal(network[2].weight, own_head)


def test_a_head_that_fits_is_loaded():
    network, source = small_network(3), small_network(3)
    assert match_weights(network, source.state_dict(), source="FILE", head="2") == "9 of 9 tensors loaded from FILE"
    assert torch.equal(network[2].weight, source[2].weight)


def test_misfits_are_listed_and_nothing_is_changed():
    network = small_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = small_network().state_dict()
    del state["0.bias"]
    state["extra"] = torch.ones(1)
    state["1.weight"] = torch.ones(9)
    with pytest.raises(CheckpointError) as caught:
        match_weights(network, state, source="FILE", head="2")
    sentence = str(caught.value)
    assert "1 missing in the file: 0.bias" in sentence
    assert "1 unexpected: extra" in sentence
    assert "1 of another shape: 1.weight (file [9], model [5])" in sentence
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_named_extras_are_ignored():
    state = {**small_network().state_dict(), "aux.weight": torch.ones(1)}
    note = match_weights(small_network(), state, source="FILE", head="2", ignored=("aux.",))
    assert "1 tensors of auxiliary classifiers in the file are not used" in note
