"""What a format can't have is refused in sentences, before anything is imported for it."""

from __future__ import annotations

import pytest

from ptrun.errors import ConfigError
from ptrun.export.formats import FORMATS, Format, require_possible


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("torch_export", "int8", "auto", None), "precision: format=torch_export can't store int8; it can store fp32,"),
        (("safetensors", "fp32", True, None), "with_preprocessing: a safetensors file holds weights"),
        (("onnx", "fp32", True, "model.pt2"), "output: expected a name that ends in .onnx for format=onnx"),
    ],
)
def test_settings_that_a_format_can_not_have(arguments: tuple[str, str, bool | str, str | None], sentence: str):
    with pytest.raises(ConfigError) as caught:
        require_possible(*arguments)
    assert str(caught.value).startswith(sentence)


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        require_possible("safetensors", "int8", True, "a.onnx")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_had_here(name: str):
    require_possible(name, "fp32", "auto", f"folder/model{FORMATS[name].suffix}")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(FORMATS, "onnx", Format(".onnx", ("onnx", "no_such_package"), "onnx"))
    with pytest.raises(ConfigError) as caught:
        require_possible("onnx", "fp32", "auto", None)
    assert str(caught.value) == (
        'format=onnx needs no_such_package, which is not installed. Install with: pip install "ptrun[onnx]"'
    )
