"""`ptrun eval`: its own settings, and changes of stored ones. Results are tested in tests/runs/test_evaluate.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended

Call = Callable[..., Ended]


def test_without_arguments_it_prints_its_help(ptrun: Call):
    assert ptrun("eval").out == ptrun("eval", "--help").out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("split=test",), "checkpoint: a value is needed"),
        (("checkpoint=x", "split=tset"), "split: expected train or val or test, got 'tset'. Did you mean 'test'?"),
        (("checkpoint=x", "plots=maybe"), "plots: expected true or false, got 'maybe'."),
        (("checkpoint=x", "split=val,test"), "split=val,test: a comma separates values, and one value is expected."),
        (("x.pt", "y.pt"), "expected one checkpoint, got 2: x.pt y.pt."),
        (("x.pt", "checkpoint=y.pt"), "expected one checkpoint, got 2: x.pt checkpoint=y.pt."),
    ],
)
def test_mistakes_end_with_2(ptrun: Call, words: tuple[str, ...], sentence: str):
    ended = ptrun("eval", *words)
    assert ended.code == 2
    assert sentence in ended.err


@pytest.mark.parametrize("word", ["checkpoint=gone.pt", "gone.pt"])
def test_a_missing_checkpoint_ends_with_4(ptrun: Call, word: str):
    ended = ptrun("eval", word)
    assert ended.code == 4
    assert "gone.pt: there is no such file" in ended.err


def test_a_path_alone_is_the_checkpoint(folder: Path, ptrun: Call):
    run = folder / "outputs" / "lr=0.1"
    run.mkdir(parents=True)
    for word in (str(run), "outputs/lr=0.1"):
        ended = ptrun("eval", word, "split=val")
        assert ended.code == 4
        assert "lr=0.1: this folder holds no checkpoint" in ended.err
