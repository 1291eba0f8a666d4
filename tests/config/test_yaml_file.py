"""YAML is read without the traps of YAML 1.1, and a mistake is reported with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config.yaml_file import load_yaml, read_checked
from ptrun.errors import ConfigError

PATH = Path("some.yaml")


def test_plain_values():
    text = "a: 1\nb: 1.5\nc: [x, null, true]\nd: {e: '010'}\nf: 0\ng: -0\nh: 0.5\ni: 1e3\n? [k, l]\n: 3\n"
    with pytest.raises(ConfigError, match="line 9"):  # a list can't be a key
        load_yaml(text, PATH)
    values = load_yaml(text.partition("?")[0], PATH)
    assert values == {"a": 1, "b": 1.5, "c": ["x", None, True], "d": {"e": "010"}, "f": 0, "g": 0, "h": 0.5, "i": "1e3"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\na: 2\n", "some.yaml, line 2: this is not valid YAML: key 'a' stands twice."),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "some.yaml, line 4: this is not valid YAML: key 'b' stands twice."),
        ("a: 010\n", "line 1: this is not valid YAML: 010 would be read as a number of base 8; write it in base 10"),
        ("a: 12:30\n", "12:30 would be read as a number of base 60"),
        ("a: 12:30.5\n", "12:30.5 would be read as a number of base 60"),
        ("a: [1, 2\n", "this is not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        ("- a\n", "some.yaml: expected `key: value` lines, found list."),
        ("", "some.yaml: expected `key: value` lines, found an empty file."),
    ],
)
def test_mistakes(text: str, sentence: str):
    with pytest.raises(ConfigError) as error:
        load_yaml(text, PATH)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\na: 1\n", "own.yaml, line 2"),
        ("a: &a [x]\nb: [" + ", ".join(["*a"] * 101) + "]\n", "own.yaml: too large for a configuration"),
        ("# " + "x" * (1 << 20) + "\na: 1\n", "own.yaml: too large for a configuration"),
    ],
    ids=["twice", "aliases", "huge"],
)
def test_a_users_file_is_checked(tmp_path: Path, text: str, sentence: str):
    path = tmp_path / "own.yaml"
    path.write_text("a: 1\n")
    assert read_checked(path) == {"a": 1}
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_checked(path)
    assert sentence in str(error.value)
