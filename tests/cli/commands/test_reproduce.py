"""`ptrun reproduce`: its arguments. The comparison is tested in tests/runs/test_reproduce.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import Ended

Call = Callable[..., Ended]


def test_without_arguments_it_prints_its_help(ptrun: Call):
    assert ptrun("reproduce").out == ptrun("reproduce", "--help").out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("a", "b"), 2, "ptrun reproduce: expected one run, got 2: a b."),
        (("gone",), 4, "gone: this is neither a run folder nor a checkpoint in one."),
    ],
)
def test_mistakes(ptrun: Call, words: tuple[str, ...], code: int, sentence: str):
    ended = ptrun("reproduce", *words)
    assert ended.code == code
    assert sentence in ended.err
