"""Types that a YAML comment can declare."""

from __future__ import annotations

from typing import Any

import pytest

from ptrun.config.types import Mismatch, parse_type


@pytest.mark.parametrize(
    ("declaration", "value", "result"),
    [
        ("int >= 1", 3, 3),
        ("int >= 1", "3", 3),
        ("int", 1e3, 1000),
        ("float > 0", 1, 1.0),
        ("float in [0, 1)", 0, 0.0),
        ("int >= 1 | auto", "auto", "auto"),
        ("int >= 1 | null", None, None),
        ("bool | strict", "strict", "strict"),
        ("bool", False, False),
        ("str", 5, "5"),
        ("path", "a/b", "a/b"),
        ("map", {"a": 1}, {"a": 1}),
        ("any", [1], [1]),
        ("list[int >= 0]", (1, "2"), [1, 2]),
        ("list[str | map]", ["a", {"b": {}}], ["a", {"b": {}}]),
        ("none | model", "none", "none"),
    ],
)
def test_values_that_fit(declaration: str, value: Any, result: Any):
    converted = parse_type(declaration).convert(value)
    assert converted == result
    assert type(converted) is type(result)


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        ("int >= 1", 0),
        ("int", 1.5),
        ("int", True),
        ("int", "three"),
        ("float", float("nan")),
        ("float", float("inf")),
        ("float in [0, 1)", 1),
        ("float in (0, 1]", 0),
        ("float > 0", 0),
        ("bool", 1),
        ("bool", "yes"),
        ("str", ""),
        ("str", True),
        ("path", True),
        ("list[int]", 5),
        ("list[int]", ["x"]),
        ("map", [1]),
        ("auto", True),
        ("int >= 1", None),
    ],
)
def test_values_that_do_not(declaration: str, value: Any):
    with pytest.raises(Mismatch):
        parse_type(declaration).convert(value)


def test_choices_and_text():
    declared = parse_type("int in [0, 3] | auto | list[a | b] | null")
    assert declared.choices == ("auto",)
    assert declared.text == "int in [0, 3] | auto | list[a | b] | null"


def test_a_folder_named_like_a_number_is_a_path():
    assert parse_type("path").convert(2024) == "2024"
    with pytest.raises(Mismatch):
        parse_type("path").convert(True)
