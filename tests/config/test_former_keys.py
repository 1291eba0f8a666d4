"""Split settings under their former names are understood wherever they stand; a plugin keeps its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Ended

from ptrun.config.compose import Composer
from ptrun.config.folders import shipped_conf
from ptrun.config.former_keys import own_keys, renamed, split_of_old_runs, with_split
from ptrun.config.load import import_components, load_config

Call = Callable[..., Ended]
REGISTRIES = import_components([])

OWN_DATASET = """
import torch
from ptrun.data.dataset import Data
from ptrun.data.splits import TensorSplit
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

@datasets.register
def own_split(*, val_fraction: float = 0.25):
    count = int(40 * val_fraction)
    rows = torch.arange(40)
    def part(rows):
        return TensorSplit((rows[:, None] % 2).float(), rows % 2, rows)
    kind = {"layout": Layout.VECTOR, "task": Task.CLASSIFICATION}
    spec = DataSpec(**kind, input_shape=(1,), num_outputs=2, class_names=("a", "b"))
    return Data(spec=spec, train=part(rows[2 * count :]), val=part(rows[:count]), test=part(rows[count : 2 * count]))
"""


def split_settings(*words: str, folder: Path | None = None) -> dict[str, Any]:
    return dict(load_config(Composer("train", (folder,) if folder else ()), words).config.split.settings)


def test_on_the_command_line():
    settings = split_settings(
        "dataset=wine", "dataset.val_fraction=0.3", "dataset.split_seed=5", "split.test_fraction=0.4"
    )
    assert (settings["val_fraction"], settings["seed"], settings["test_fraction"]) == (0.3, 5, 0.4)


def test_in_a_users_file(folder: Path):
    recipe = folder / "conf" / "experiment"
    recipe.mkdir(parents=True)
    (recipe / "old.yaml").write_text("# @package _global_\ndataset:\n  test_fraction: 0.35\n")
    assert split_settings("experiment=old", folder=folder / "conf")["test_fraction"] == 0.35
    assert split_settings("experiment=old", "split.test_fraction=0.3", folder=folder / "conf")["test_fraction"] == 0.3


def test_a_root_file_of_before_the_group(folder: Path):
    (folder / "conf").mkdir()
    root = (shipped_conf() / "train.yaml").read_text().replace("  - split: auto\n", "")
    (folder / "conf" / "train.yaml").write_text(root)
    assert split_settings("split.seed=4", folder=folder / "conf")["seed"] == 4


def test_a_stored_configuration_means_what_was_done_then():
    own = own_keys("digits", (), REGISTRIES)
    values = with_split({"dataset": {"name": "digits", "split_seed": 3}}, own, split_of_old_runs())
    assert values["dataset"] == {"name": "digits"}
    assert values["split"]["seed"] == 3
    assert (values["split"]["duplicates"], values["split"]["column"]) == ("apart", None)
    assert renamed({"dataset.test_fraction": 0.3, "train.epochs": 1}, own) == {
        "split.test_fraction": 0.3,
        "train.epochs": 1,
    }


def test_a_plugin_keeps_its_settings_and_does_not_take_others(folder: Path, ptrun: Call):
    (folder / "own.py").write_text(OWN_DATASET)
    words = ("train", "plugins=[own.py]", "dataset=own_split", "model=simplenet", "train.epochs=1")
    ended = ptrun(*words, "dataset.val_fraction=0.1")
    assert ended.code == 0, ended.err
    assert "32 train, 4 val, 4 test" in ended.out
    again = ptrun("eval", "outputs/latest", "plugins=[own.py]")
    assert again.code == 0, again.err
    refused = ptrun(*words, "split.val_fraction=0.3", "split.folds=5")
    assert refused.code == 2
    assert "split.val_fraction, split.folds: dataset 'own_split' divides its samples by itself" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("split.fold=5 split.folds=5", "5 is no fold of split.folds=5, which are 0 to 4"),
        ("split.fold=1", "has no effect without split.folds"),
        ("split=time split.folds=3", "folds are made at random or of groups, not with split=time"),
        ("split=random split.group=a", "groups do not go with split=random"),
        ("split=random split.column=a", "a column does not go with split=random"),
        ("split.group=a split.column=b", "groups do not go with split.column=b"),
        ("split=group", "split=group needs the column whose rows stay together"),
        ("split.val_fraction=0.6 split.test_fraction=0.5", "0.6 and 0.5 leave nothing to train on"),
        ("split=kfold", "there is no split 'kfold'. Did you mean"),
        ("split.duplicates=keep", "split.duplicates: expected together or apart"),
    ],
)
def test_settings_that_do_not_go_together(ptrun: Call, words: str, message: str):
    ended = ptrun("train", *words.split())
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
