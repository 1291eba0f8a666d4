"""`ptrun resume`: its arguments. That a resumed run has the same bits is tested in tests/runs/test_resume.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import Ended

Call = Callable[..., Ended]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("a", "b"), 2, "ptrun resume: expected one run, got 2: a b."),
        (("train.epochs",), 4, "train.epochs: this is neither a run folder nor a checkpoint in one."),
        ((), 4, "no run there is unfinished."),
        (("gone", "plugins=[gone.py]"), 2, "plugins: there is no file"),
        (("gone", "--config-dir", "nowhere"), 2, "--config-dir: there is no folder"),
    ],
)
def test_mistakes(ptrun: Call, words: tuple[str, ...], code: int, sentence: str):
    ended = ptrun("resume", *words)
    assert ended.code == code
    assert sentence in ended.err
