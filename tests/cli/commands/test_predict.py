"""The words of `ptrun predict`: by place or by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import Ended

from ptrun.cli.commands import predict


def test_help_names_every_setting(ptrun: Callable[..., Ended]):
    ended = ptrun("predict", "--help")
    assert ended.code == 0
    for word in ("output=", "what=", "top_k", "keep=", "rolling", "resize", "on_bad_sample", "ensemble", "overwrite"):
        assert word in ended.out
    assert ptrun("predict").out == ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a.pt", "b", "input=c"), "one argument too many"),
        (("input=c",), "checkpoint is missing"),
        (("a.pt", "b", "what=labels"), "what: expected"),
        (("a.pt", "b"), "a.pt"),
        (("a.pt", "b", "--top", "3"), "there is no flag --top"),
    ],
)
def test_mistakes(ptrun: Callable[..., Ended], words: tuple[str, ...], message: str):
    ended = ptrun("predict", *words)
    assert ended.code in (2, 4)
    assert message in ended.err
    assert predict.HELP
