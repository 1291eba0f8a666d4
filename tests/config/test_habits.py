"""What users of other tools type is answered by the words to type, and these words work."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ptrun.config.compose import Composer
from ptrun.config.habits import dataset_for, setting_for_flag, settings_for_flags
from ptrun.config.load import load_config
from ptrun.config.overrides import override_problems
from ptrun.errors import ConfigError


@pytest.mark.parametrize(
    ("flag", "value", "setting"),
    [
        ("--epochs", "5", "train.epochs=5"),
        ("--max-epochs", "5", "train.epochs=5"),
        ("--batch-size", "64", "train.batch_size=64"),
        ("--lr", "0.1", "optimizer.lr=0.1"),
        ("--learning_rate", "0.1", "optimizer.lr=0.1"),
        ("--weight-decay", "0", "optimizer.weight_decay=0"),
        ("--model", "convnet", "model=convnet"),
        ("--opt", "sgd", "optimizer=sgd"),
        ("--seed", "3", "seed=3"),
        ("--frobnicate", "3", ""),
    ],
)
def test_a_flag_of_another_tool(flag: str, value: str, setting: str):
    assert setting_for_flag(flag, value) == setting
    if setting:
        load_config(Composer(), [setting])


def test_all_flags_of_a_command_line_are_answered_together():
    assert (
        settings_for_flags(["--epochs", "--lr=0.1"], ["--epochs", "1", "--lr=0.1"]) == "train.epochs=1 optimizer.lr=0.1"
    )
    assert settings_for_flags(["--epochs"], ["--epochs"]) == "train.epochs=VALUE"
    assert settings_for_flags(["--epochs", "--frob"], ["--epochs", "1", "--frob", "2"]) == ""


def test_a_path_is_answered_by_the_dataset_that_reads_it(folder: Path):
    (folder / "photos").mkdir()
    assert dataset_for("photos") == "dataset=image_folder dataset.root=photos"
    assert dataset_for("a.CSV") == "dataset=table dataset.path=a.CSV dataset.target=COLUMN"
    assert dataset_for("a.npz") == "dataset=arrays dataset.path=a.npz"
    assert dataset_for("a.ts") == "dataset=sequences dataset.path=a.ts"
    assert dataset_for("digits") == ""
    for path in ("photos", "a.csv", "a.npz", "a.ts", "my data (1).csv"):
        words = dataset_for(path)
        load_config(Composer(), shlex.split(words))
        with pytest.raises(ConfigError) as error:
            load_config(Composer(), [f"data={path}"])
        assert words in str(error.value)
        assert words in override_problems(f"dataset={path}")[0]
