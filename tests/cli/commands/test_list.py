"""`ptrun list`: every kind, every name, every setting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended

from ptrun.cli.commands.list import KINDS
from ptrun.config import schema

Call = Callable[..., Ended]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_lists_every_name(ptrun: Call, kind: str):
    out = ptrun("list", kind).out
    for name in schema.names(KINDS[kind]):
        assert f"\n{name} " in out
        assert ptrun("list", kind, name).out.startswith(f"{name}: ")


def test_the_singular_and_no_kind_at_all(ptrun: Call):
    assert ptrun("list", "model").out == ptrun("list", "models").out
    everything = ptrun("list").out
    assert all(f"\n{kind}\n" in f"\n{everything}" for kind in KINDS)


@pytest.mark.parametrize(("kind", "name"), [("models", "transformer"), ("devices", "cuda"), ("metric", "top_k")])
def test_one_component_shows_every_setting(ptrun: Call, kind: str, name: str):
    out = ptrun("list", kind, name).out
    keys = schema.require(KINDS.get(kind, kind), name).keys.values()
    assert keys
    for key in keys:
        assert key.name in out
        assert key.type.text in out
        assert key.meaning in out


def test_the_way_to_use_it_works(ptrun: Call):
    assert "Use it: metrics=[top_k]" in ptrun("list", "metric", "top_k").out
    assert ptrun("show", "metrics=[top_k]").code == 0
    assert "Use it: transform.train=[cutout,normalize]," in ptrun("list", "image_transforms", "cutout").out
    assert ptrun("show", "transform.train=[cutout,normalize]").code == 0
    assert "Use it: device=cpu" in ptrun("list", "devices", "cpu").out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("modles",), "there is no kind 'modles'. Did you mean 'models'?"),
        (("models", "covnet"), "There is no model 'covnet'. Did you mean 'convnet'?"),
        (("models", "convnet", "lstm"), "expected a kind and a name at most"),
    ],
)
def test_mistakes(ptrun: Call, words: tuple[str, ...], sentence: str):
    ended = ptrun("list", *words)
    assert ended.code == 2
    assert sentence in ended.err


def test_ones_own_files_are_listed(folder: Path, ptrun: Call):
    for place, name in ((folder / "conf", "here"), (folder / "mine", "there")):
        (place / "model").mkdir(parents=True)
        (place / "model" / f"{name}.yaml").write_text(f"# Own {name}.\nname: {name}\nwidth: 3  # int >= 1: units\n")
    assert "here  " in ptrun("list", "models").out
    both = ptrun("list", "models", "--config-dir", "mine").out
    assert "here  " in both
    assert "there  " in both


def test_a_broken_file_hides_no_other(folder: Path, ptrun: Call):
    (folder / "conf" / "experiment").mkdir(parents=True)
    (folder / "conf" / "experiment" / "draft.yaml").write_text("a: [1\n")
    ended = ptrun("list", "experiments")
    assert ended.code == 0
    assert "digits_convnet" in ended.out
    assert "draft.yaml, line" in ended.out
    assert ptrun("list", "experiments", "draft").code == 2
