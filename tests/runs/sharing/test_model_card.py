"""The card of a published model: data, results beside baselines, limits, and code that runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended
from torch import nn

from ptrun.runs.sharing.model_card import limits, without_folders

Call = Callable[..., Ended]


@pytest.fixture
def card(ptrun: Call, folder: Path) -> str:
    assert ptrun("train", "dataset=wine", "model=simplenet", "train.epochs=3", "-q").code == 0
    assert ptrun("publish", "outputs/latest", "m.pt").code == 0
    return Path("m.md").read_text(encoding="utf-8")


def test_data_results_and_limits(card: str):
    assert card.startswith("# simplenet trained on wine\n")
    assert "124 train, 18 val, 36 test" in card
    assert re.search(r"\| metric \| test \| most frequent class \|\n\| --- \| --- \| --- \|\n\| loss \| ", card)
    assert "Classes with fewer than 100 training samples: class_0 (41), class_1 (50), class_2 (33)." in card
    assert re.search(r"36 samples: the accuracy on such data lies between \d+\.\d\d % and \d+\.\d\d % \(95 %\)", card)
    assert "ptrun train dataset=wine model=simplenet train.epochs=3 -q" in card


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("ptrun train dataset.path='/home/A Name/x.csv' seed=1", "ptrun train dataset.path=x.csv seed=1"),
        ("ptrun train 'plugins=[/home/a/b.py,~/c/d.py]'", "ptrun train 'plugins=[b.py,d.py]'"),
        ("ptrun train --config-dir /home/a/conf x=/tmp", "ptrun train --config-dir conf x=tmp"),
        ("ptrun train a=b/c.csv d=https://e.f/g/h i=1/2 j=./k", "ptrun train a=b/c.csv d=https://e.f/g/h i=1/2 j=./k"),
    ],
)
def test_a_command_names_no_folder_of_its_author(command: str, shown: str):
    assert without_folders(command) == shown


def test_the_code_on_the_card_loads_the_weights(card: str):
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    assert len(code[1].strip().splitlines()) == 3
    network = nn.Module()
    network.layers = nn.Sequential(nn.Flatten(), nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 3))
    exec(code[1], {"network": network})  # noqa: S102
    saved = torch.load("m.pt", weights_only=True)["model"]
    assert torch.equal(network.layers[1].weight, saved["layers.1.weight"])


def test_without_results_the_card_says_so():
    data = {"input_shape": [2], "classes": [], "targets": ["y"], "class_counts": None}
    found = limits({"data": data}, None)
    assert found[-1] == "No test results are known."
    assert any("no error bars" in limit for limit in found)
    found = limits({"data": {**data, "has_interval": True}}, None)
    assert any("Its intervals (`interval=0.9`)" in limit for limit in found)


def test_few_samples_without_a_mistake_prove_little():
    data = {"input_shape": [2], "classes": ["a", "b"], "targets": [], "class_counts": [500, 600]}
    recalls = {"a": {"recall": 1.0}, "b": {"recall": 1.0}}
    found = limits({"data": data}, {"metrics": {"accuracy": 1.0}, "num_samples": 16, "per_class": recalls})
    assert "lies between 80.64 % and 100.00 % (95 %)" in found[-1]  # and no class is found least often


def test_an_accuracy_is_as_exact_as_its_samples_are_many():
    data = {"input_shape": [2], "classes": ["a", "b"], "targets": [], "class_counts": [500, 600]}
    test = {"metrics": {"accuracy": 0.9}, "num_samples": 900, "per_class": {"a": {"recall": 0.8}, "b": {"recall": 1.0}}}
    found = limits({"data": data}, test)
    assert "lies between 87.87 % and 91.79 % (95 %)" in found[-2]
    assert found[-1] == "It finds the class a least often: 80.00 % of its test samples."
    assert not any("fewer than" in limit for limit in found)
