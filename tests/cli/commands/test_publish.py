"""`ptrun publish`: its words, in place or by key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import Ended

Call = Callable[..., Ended]


def test_help(ptrun: Call):
    assert "ptrun publish CHECKPOINT TO" in ptrun("publish").out
    assert ptrun("publish", "--help").code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a.pt"], "to: a value is needed"),
        (["to=b.pt"], "checkpoint: a value is needed"),
        (["a.pt", "b.pt", "c.pt"], "expected CHECKPOINT and TO, got too many words: a.pt b.pt c.pt"),
        (["a.pt", "b.pt", "overwite=true"], "Did you mean 'overwrite'"),
        (["a.pt", "b.pt", "overwrite=1"], "overwrite: expected true or false"),
    ],
)
def test_mistakes_in_words(words: list[str], sentence: str, ptrun: Call):
    ended = ptrun("publish", *words)
    assert ended.code == 2
    assert sentence in ended.err


@pytest.mark.parametrize("words", [["a.pt", "b.pt"], ["checkpoint=a.pt", "b.pt"], ["to=b.pt", "a.pt"]])
def test_an_absent_checkpoint(words: list[str], ptrun: Call):
    ended = ptrun("publish", *words)
    assert ended.code == 4
    assert "a.pt: there is no such file or folder" in ended.err
