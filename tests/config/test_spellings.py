"""Words of other tools are read as settings where their meaning is clear; README's table says so and is right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, newest_run
from test_architecture import readme_section

from ptrun.config.spellings import translate

FLAGS = ("-m", "--multirun", "-q", "--config-dir", "--debug")


def read(text: str) -> list[str]:
    return translate(shlex.split(text), FLAGS).words


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("epochs=5 lr=0.1", ["train.epochs=5", "optimizer.lr=0.1"]),
        ("--epochs 5 -m --lr=0.1,0.01", ["train.epochs=5", "-m", "optimizer.lr=0.1,0.01"]),
        ("model = convnet seed = 3", ["model=convnet", "seed=3"]),
        ("--config-dir mine --debug model=lstm", ["--config-dir", "mine", "--debug", "model=lstm"]),
        ("device=GPU name=first", ["device=cuda", "label=first"]),
        ("model=vit_b_16", ["model=torchvision", "model.arch=vit_b_16"]),
        ("optimizer=AdamW", ["optimizer=adamw"]),
        ("dropout=0.3 --frob 3 frob=3", ["dropout=0.3", "--frob", "3", "frob=3"]),
        ("data=absent", ["data=absent"]),
        ("data=people.csv", ["data=people.csv"]),
        ("data=numbers.npz", ["dataset=arrays", "dataset.path=numbers.npz"]),
        ("dataset=digits", ["dataset=digits"]),
        ("epochs= lr", ["epochs=", "lr"]),
        ("model.dropout=0.2 label='a = b'", ["model.dropout=0.2", "label=a = b"]),
    ],
)
def test_words(folder: Path, typed: str, words: list[str]):
    (folder / "numbers.npz").write_bytes(b"")
    (folder / "people.csv").write_text("")
    assert read(typed) == words


def test_what_is_taken_is_reported_and_what_is_right_is_not():
    translated = translate(["--epochs", "5", "model=convnet", "train.max_steps=3"], FLAGS)
    assert translated.notes == ["`--epochs 5` is read as train.epochs=5."]


def test_the_table_of_the_readme(folder: Path):
    (folder / "photos").mkdir()
    rows = re.findall(r"^\| (?!wish|-)(.+) \|$", readme_section("If you come from another tool"), re.MULTILINE)
    assert len(rows) == 11
    for row in rows:
        _, *typed, right = row.split(" | ")
        words = re.findall(r"`([^`]+)`", right)
        for cell in typed:
            (text,) = re.findall(r"`([^`]+)`", cell)
            expected = [*words[:1], *words[2:]] if text == "device=0" else words[:1]
            assert read(text) == shlex.split(" ".join(expected)), row


def test_a_command_line_of_another_tool_trains(folder: Path, ptrun: Callable[..., Ended]):
    ended = ptrun("train", "--model", "simplenet", "--epochs=1", "lr", "=", "0.01")
    assert ended.code == 0, ended.err
    assert "note: `--model simplenet` is read as model=simplenet." in ended.out
    config = (newest_run(folder) / "resolved.yaml").read_text()
    assert "epochs: 1" in config
    assert "lr: 0.01" in config
    assert "note:" not in ptrun("train", "epochs=1", "model=simplenet", "-q").out


def test_verbs_of_other_tools(ptrun: Callable[..., Ended]):
    assert ptrun("help", "eval").out == ptrun("eval", "--help").out
    assert ptrun("val").out == ptrun("eval").out
    assert ptrun("list", "convnet").out == ptrun("list", "models", "convnet").out
    assert ptrun("list", "auto").code == 2, "several kinds have a component of that name"
