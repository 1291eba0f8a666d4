"""The axes of a search are what is written in Hydra's grammar, in the type that the setting takes."""

from __future__ import annotations

import pytest

from ptrun.config.overrides import by_key
from ptrun.config.search_space import Axis, parse_axis
from ptrun.errors import ConfigError


def read(text: str, *choices: str) -> Axis:
    [(key, override)] = by_key([text]).items()
    return parse_axis(key, override, (), choices)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr=interval(0.1,1)", Axis("optimizer.lr", (), 0.1, 1.0)),
        ("optimizer.lr=tag(log, interval(1e-4,1e-1))", Axis("optimizer.lr", (), 1e-4, 1e-1, log=True)),
        ("x=int(interval(1,8))", Axis("x", (), 1, 8, integer=True)),
        ("x=tag(int, log, interval(1,8))", Axis("x", (), 1, 8, log=True, integer=True)),
        ("train.batch_size=interval(8,64)", Axis("train.batch_size", (), 8, 64, integer=True)),
        ("x=range(1,9)", Axis("x", (), 1, 8, integer=True)),
        ("x=range(10,50,10)", Axis("x", (), 10, 40, 10, integer=True)),
        ("x=range(0.1,0.5,0.1)", Axis("x", (), 0.1, 0.4, 0.1)),
        ("model=convnet,simplenet", Axis("model", ["convnet", "simplenet"])),
        ("x=[1,2],null", Axis("x", ["[1,2]", "null"])),
    ],
)
def test_an_axis(text: str, expected: Axis):
    found = read(text)
    assert (found.key, list(found.choices), found.log, found.integer) == (
        expected.key, list(expected.choices), expected.log, expected.integer,
    )  # fmt: skip
    assert (found.low, found.high, found.step) == pytest.approx((expected.low, expected.high, expected.step))


def test_whole_numbers_are_those_of_the_components_that_can_be_chosen():
    assert read("model.hidden_features=tag(log,interval(8,64))", "convnet", "lstm").integer
    assert not read("model.hidden_features=interval(8,64)", "convnet", "simplenet").integer


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x=interval(3,1)", "the first number has to be below the second"),
        ("x=tag(log,interval(0,1))", "a logarithmic axis begins above 0"),
        ("train.batch_size=interval(1.5,8)", "takes whole numbers"),
    ],
)
def test_mistakes(text: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        read(text)


def test_numbers_can_be_read_and_lie_on_the_axis():
    log = read("optimizer.lr=tag(log, interval(1e-4,1e-1))")
    assert log.number(0.0123456) == 0.01235
    assert log.override(log.number(0.00012345678)) == "optimizer.lr=0.0001235"
    assert log.contains(0.01235)
    assert not log.contains(0.2)
    steps = read("x=range(0.1,0.5,0.1)")
    assert [steps.number(value) for value in (0.31, 0.1, 0.38)] == [0.3, 0.1, 0.4]
    assert read("x=range(10,50,10)").number(23) == 20
    assert read("model=convnet,simplenet").contains("convnet")
    assert list(read("x=int(interval(1,8))").ends) == [1, 8]
