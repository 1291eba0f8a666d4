"""The ways in which names in a file can correspond to those of a network, the most literal one first."""

from __future__ import annotations

import torch

from ptrun.models.weights.renaming import disagreement_in_order, module_of, renamings, without_wrappers


def tensors(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.ones(2) for name in names}


def test_the_literal_reading_comes_first():
    first = next(renamings(tensors("a.weight"), tensors("a.weight"), "a"))
    assert first.names == {"a.weight": "a.weight"}
    assert first.words == ""
    assert not first.unused


def test_wrappers_are_named():
    first = next(renamings(tensors("a.weight"), tensors("module.a._orig_mod.weight"), "a"))
    assert first.names == {"module.a._orig_mod.weight": "a.weight"}
    assert first.words == "without '_orig_mod' and 'module' in their names"
    assert without_wrappers("module.net.a.model.b") == "a.b"


def test_names_that_would_become_one_stay_apart():
    first = next(renamings(tensors("a"), tensors("module.b", "net.b"), "head"))
    assert first.names == {"module.b": "module.b", "net.b": "net.b"}


def test_a_part_of_the_file_and_what_is_left_of_it():
    readings = list(renamings(tensors("a.w", "b.w"), tensors("enc.a.w", "enc.b.w", "queue"), "b"))
    found = next(reading for reading in readings if reading.words.startswith("those of 'enc.'"))
    assert found.names == {"enc.a.w": "a.w", "enc.b.w": "b.w"}
    assert found.unused == ("queue",)


def test_the_order_is_read_last_and_takes_counters_along():
    expected = tensors("norm.weight", "norm.bias", "norm.num_batches_tracked")
    stored = tensors("bn.weight", "bn.bias", "bn.num_batches_tracked")
    *_, last = renamings(expected, stored, "head")
    assert last.names == dict(zip(stored, expected, strict=True))
    assert last.words.startswith("in their order")


def test_a_module_that_is_two_in_the_other_one_disagrees():
    assert disagreement_in_order(tensors("a.weight", "a.bias"), tensors("x.weight", "y.bias"), "") != ""
    assert disagreement_in_order(tensors("a.weight", "b.bias"), tensors("x.weight", "x.bias"), "") != ""
    assert disagreement_in_order(tensors("a.weight", "a.bias"), tensors("x.weight", "x.bias"), "") == ""
    assert module_of("a.b.weight") == "a.b"
