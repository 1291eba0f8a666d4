"""Stored weights are loaded by name, by known renamings, or in order; what does not fit changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from ptrun.errors import CheckpointError
from ptrun.models.weights.match import head_of
from ptrun.models.weights.match import match_weights as match
from ptrun.models.weights.stored import StoredWeights
from ptrun.spec import DataSpec, Layout, Task


def spec_of(*class_names: str) -> DataSpec:
    return DataSpec(
        layout=Layout.VECTOR,
        task=Task.CLASSIFICATION,
        input_shape=(4,),
        num_outputs=len(class_names),
        class_names=class_names,
    )


def match_weights(network: nn.Module, state: Mapping[str, Tensor], *, head: str, ignored: tuple[str, ...] = ()) -> str:
    """The sentence about a file that says nothing on its classes."""
    return match(network, StoredWeights("FILE", state), head=head, ignored=ignored).sentence


def small_network(num_outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, num_outputs))


@pytest.mark.parametrize(
    "wrapped",
    ["module._orig_mod.{0}.{1}", "_orig_mod.module.{0}.{1}", "model.{0}.{1}", "net.module.{0}.{1}",
     "module.{0}._orig_mod.{1}", "{0}.module.{1}"],
)  # fmt: skip
def test_the_names_of_wrappers_are_passed_over_in_any_place(wrapped: str):
    network, source = small_network(), small_network()
    state = {wrapped.format(*name.split(".")): tensor for name, tensor in source.state_dict().items()}
    assert match_weights(network, state, head="2").startswith("9 of 9 tensors loaded from FILE, without '")
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_a_network_keeps_its_own_names_that_look_like_wrappers():
    network, source = (nn.ModuleDict({"net": small_network(), "head": nn.Linear(2, 2)}) for _ in range(2))
    for prefix in ("", "module."):
        state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
        assert match_weights(network, state, head="head").startswith("11 of 11 tensors loaded from FILE")
    assert torch.equal(network["net"][0].weight, source["net"][0].weight)


def test_two_networks_in_one_file_are_not_mixed():
    state = {
        f"{name}.{key}": tensor for name in ("model", "net") for key, tensor in small_network().state_dict().items()
    }
    with pytest.raises(
        CheckpointError, match=r"two networks that fit, one with model\.0\.weight and one with net\.0\."
    ):
        match_weights(small_network(), state, head="2")


def test_half_precision_is_cast_and_absent_counters_are_tolerated():
    network, source = small_network(), small_network()
    state = {name: t.half() for name, t in source.state_dict().items() if not name.endswith("num_batches_tracked")}
    note = match_weights(network, state, head="2")
    assert network[0].weight.dtype is torch.float32
    assert torch.equal(network[0].weight, source[0].weight.half().float())
    assert note.startswith(
        "8 of 8 tensors loaded from FILE; 1 counters of batches (num_batches_tracked) are not in the file"
    )


def test_a_head_of_another_size_is_new_and_counted():
    network, source = small_network(3), small_network(1000)
    own_head = network[2].weight.clone()
    note = match_weights(network, source.state_dict(), head="2")
    assert note == "7 of 9 tensors loaded from FILE; the head (2 tensors: 2.bias, 2.weight) is new"
    assert torch.equal(network[0].weight, source[0].weight)
    assert torch.equal(network[2].weight, own_head)


def test_a_head_that_fits_is_loaded():
    network, source = small_network(3), small_network(3)
    assert match_weights(network, source.state_dict(), head="2") == "9 of 9 tensors loaded from FILE"
    assert torch.equal(network[2].weight, source[2].weight)


def test_misfits_are_listed_and_nothing_is_changed():
    network = small_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = small_network().state_dict()
    del state["0.bias"]
    state["extra"] = torch.ones(1)
    state["1.weight"] = torch.ones(9)
    with pytest.raises(CheckpointError) as caught:
        match_weights(network, state, head="2")
    sentence = str(caught.value)
    assert "1 missing in the file: 0.bias" in sentence
    assert "1 unexpected: extra" in sentence
    assert "1 of another shape: 1.weight (file [9], model [5])" in sentence
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_named_extras_are_ignored():
    state = {**small_network().state_dict(), "aux.weight": torch.ones(1)}
    note = match_weights(small_network(), state, head="2", ignored=("aux.",))
    assert "1 tensors of auxiliary classifiers in the file are not used" in note


class Named(nn.Module):
    """The small network as modules of given names."""

    def __init__(self, *names: str, num_outputs: int = 3) -> None:
        super().__init__()
        for name, module in zip(names, small_network(num_outputs), strict=True):
            self.add_module(name, module)


def test_the_network_is_found_under_another_name_on_either_side():
    source = small_network().state_dict()
    kept = nn.ModuleDict({"backbone": small_network(), "head": nn.Linear(2, 2)})
    sentence = match_weights(kept, source, head="head")
    assert sentence.startswith("9 of 9 tensors loaded from FILE, with 'backbone.' before their names; the head (2 ten")
    assert torch.equal(kept["backbone"][0].weight, source["0.weight"])

    network = small_network()
    state = {**{f"encoder.{name}": tensor for name, tensor in source.items()}, "queue": torch.ones(2)}
    sentence = match_weights(network, state, head="2")
    assert "9 of 10 tensors loaded from FILE, those of 'encoder.', without it in their names" in sentence
    assert sentence.endswith("1 tensors of other parts in the file are not used")
    assert torch.equal(network[0].weight, source["0.weight"])


def test_a_network_is_not_filled_in_part_from_a_part_of_another():
    network = nn.ModuleDict({"stem": nn.Linear(4, 4), "body": small_network(), "head": nn.Linear(2, 2)})
    with pytest.raises(CheckpointError, match=r"missing in the file: stem\.weight"):
        match_weights(network, small_network().state_dict(), head="head")


def test_a_head_of_another_name_is_the_head():
    network, source = Named("a", "b", "head"), Named("a", "b", "fc")
    assert match_weights(network, source.state_dict(), head="head") == "9 of 9 tensors loaded from FILE"
    assert torch.equal(network.head.weight, source.fc.weight)
    network, source = Named("a", "b", "head"), Named("a", "b", "fc", num_outputs=7)
    assert "the head (2 tensors: head.bias, head.weight) is new" in match_weights(
        network, source.state_dict(), head="head"
    )


def test_a_file_without_a_head():
    network = small_network()
    state = {name: tensor for name, tensor in small_network().state_dict().items() if not name.startswith("2.")}
    assert "7 of 7 tensors loaded from FILE; the head (2 tensors: 2.bias, 2.weight) is new" in match_weights(
        network, state, head="2"
    )


def test_modules_of_other_names_are_matched_in_order_and_this_is_said():
    network, source = Named("stem", "norm", "head"), Named("conv1", "bn1", "linear")
    sentence = match_weights(network, source.state_dict(), head="head")
    assert sentence == (
        "9 of 9 tensors loaded from FILE, in their order, because the modules have other names: "
        "conv1.weight is stem.weight, ..., linear.bias is head.bias"
    )
    for name, own in (("conv1", "stem"), ("bn1", "norm"), ("linear", "head")):
        for key, tensor in source.get_submodule(name).state_dict().items():
            assert torch.equal(network.get_submodule(own).state_dict()[key], tensor)
    other_classes = Named("conv1", "bn1", "linear", num_outputs=9)
    assert "the head (2 tensors: head.bias, head.weight) is new" in match_weights(
        network, other_classes.state_dict(), head="head"
    )


def test_what_disagrees_in_order_is_named():
    network, source = Named("stem", "norm", "head"), Named("conv1", "bn1", "linear")
    state = source.state_dict()
    state["bn1.bias"] = torch.ones(6)
    with pytest.raises(
        CheckpointError, match=r"first that differs is bn1\.bias \[6\] in the file, norm\.bias \[5\] in"
    ):
        match_weights(network, state, head="head")
    split = {name.replace("conv1.bias", "other.bias"): tensor for name, tensor in source.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"first that differs is other\.bias"):
        match_weights(network, split, head="head")


@pytest.mark.parametrize("classes", [("a", "b", "d"), ("c", "b", "a")])
def test_a_head_for_other_classes_is_new_although_it_fits(classes):
    network, source = small_network(), small_network()
    stored = StoredWeights("FILE", source.state_dict(), spec_of("a", "b", "c"))
    loaded = match(network, stored, head="2", spec=spec_of(*classes))
    assert f"is new, because the file's outputs (a, b, c) are not the classes of these data ({', '.join(classes)})" in (
        loaded.sentence
    )
    assert loaded.new_head
    assert torch.equal(network[0].weight, source[0].weight)
    assert not torch.equal(network[2].weight, source[2].weight)


def test_a_head_for_the_same_classes_is_kept():
    network, source = small_network(), small_network()
    stored = StoredWeights("FILE", source.state_dict(), spec_of("a", "b", "c"))
    loaded = match(network, stored, head="2", spec=spec_of("a", "b", "c"))
    assert loaded.sentence == "9 of 9 tensors loaded from FILE"
    assert not loaded.new_head
    assert torch.equal(network[2].weight, source[2].weight)


def test_a_head_whose_classes_are_unknown_is_kept_and_this_is_said():
    stored = StoredWeights("FILE", small_network().state_dict())
    loaded = match(small_network(), stored, head="2", spec=spec_of("a", "b", "c"))
    assert "its head (2) is kept: the file does not say which output is which class" in loaded.sentence
    assert loaded.sentence.endswith("in the order of these data: a, b, c")


def test_the_head_is_the_last_layer_with_a_row_for_each_output():
    assert head_of(small_network(), 3) == "2"
    assert head_of(small_network(), 5) == "1"
    assert head_of(small_network(), 8) == ""
