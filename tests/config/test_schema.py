"""The YAML files: complete, typed, and equal to the functions and dataclasses they stand for."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from ptrun import catalog, registry
from ptrun.config import check, folders, load, run_config, schema
from ptrun.config.compose import Composer
from ptrun.device import choose
from ptrun.errors import ConfigError
from ptrun.plugins import REGISTRIES

assert catalog.MODULES
CONF = folders.shipped_conf()
ALL = sorted(CONF.rglob("*.yaml"))
COMPONENTS = [
    (path.parent.name, path.stem)
    for path in ALL
    if path.parent.name in (*run_config.GROUPS, "image_transform", "metric")
]
NOT_FUNCTIONS = {
    ("loss", "auto"),
    ("model", "auto"),
    ("transform", None),
    ("split", None),
    ("device", None),
    ("checkpoint", None),
}


def test_there_are_as_many_files_as_expected():
    assert len(ALL) >= 80, "the glob found too few files to mean anything"


@pytest.mark.parametrize(
    "path", [p for p in ALL if p.parent.name not in run_config.PRESETS], ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_every_line_declares_type_and_meaning(path: Path):
    found = schema.read(path, path.parent.name)
    assert found.summary
    assert path.parent == CONF or found.name == path.stem
    for key in found.keys.values():
        assert key.type.text != "any" or "any" in path.read_text(encoding="utf-8"), f"{key.name} has no type"
        assert key.meaning, f"{key.name} has no meaning"
        assert key.type.text not in key.type.choices, f"{key.name}: '{key.type.text}' is no type"
        if not key.required:
            key.type.convert(key.default)


@pytest.mark.parametrize(("group", "name"), COMPONENTS)
def test_yaml_equals_the_signature(group: str, name: str):
    if (group, name) in NOT_FUNCTIONS or (group, None) in NOT_FUNCTIONS:
        return
    declared = {key.name: key.default for key in schema.require(group, name).keys.values()}
    keywords = REGISTRIES[group].keywords(name)
    actual = {key: plain(p.default) for key, p in keywords.items() if key not in check.GIVEN_BY_PROGRAM}
    assert declared == actual


def plain(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return schema.MISSING
    return [plain(each) for each in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_registered_name_has_a_file_and_back(group: str):
    names = set(schema.names(group)) - {"auto"}
    missing_here = {"muon"} - set(registry.optimizers) if group == "optimizer" else set()
    shipped = {name for name in REGISTRIES[group] if REGISTRIES[group].get(name).__module__.startswith("ptrun.")}
    assert names - missing_here == shipped


def test_settings_classes_equal_the_root_file():
    keys = schema.read(CONF / "train.yaml").keys
    train = {name.removeprefix("train.") for name in keys if name.startswith("train.")}
    assert train == {field.name for field in dataclasses.fields(run_config.TrainSettings)}
    top = {name for name in keys if "." not in name}
    assert top | {*run_config.GROUPS, "train"} == {field.name for field in dataclasses.fields(run_config.RunConfig)}


def test_device_files_equal_the_function():
    keywords = set(inspect.signature(choose.make_runtime).parameters) - {"name", "deterministic"}
    for name in schema.names("device"):
        assert set(schema.require("device", name).keys) == keywords


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, n in COMPONENTS if g in run_config.GROUPS])
def test_every_choice_composes_and_passes_the_check(group: str, name: str):
    required = [f"{group}.{key.name}=x" for key in schema.require(group, name).keys.values() if key.required]
    problems: list[str] = []
    try:
        load.load_config(Composer(), [f"{group}={name}", *required])
    except ConfigError as error:
        problems = list(error.problems)
    of_data = ("Models that fit", "is for", "changes images", "needs the column")
    assert [problem for problem in problems if not any(words in problem for words in of_data)] == []


@pytest.mark.parametrize(
    "path", [p for p in ALL if p.parent.name in run_config.PRESETS], ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_every_preset_composes_and_passes_the_check(path: Path):
    problems: tuple[str, ...] = ()
    try:
        assert load.load_config(Composer(), [f"{path.parent.name}={path.stem}"]).config.train.epochs >= 1
    except ConfigError as error:
        problems = error.problems
    assert [problem for problem in problems if "a value is needed" not in problem] == []


def test_a_file_that_is_based_on_another_has_its_settings():
    base, cuda = schema.require("device", "auto"), schema.require("device", "cuda")
    assert cuda.keys == base.keys
    assert cuda.summary != base.summary
    assert schema.choice("device", "cuda") == {**schema.choice("device", "auto"), "name": "cuda"}


def test_ones_own_file_may_be_based_on_a_shipped_one(folder: Path):
    own = folder / "conf" / "device"
    own.mkdir(parents=True)
    (own / "half.yaml").write_text("# CUDA in bf16.\ndefaults: [cuda, _self_]\nprecision: bf16\n")
    (own / "loop.yaml").write_text("# Based on itself.\ndefaults: [loop, _self_]\nindex: 3  # int: which\n")
    places = (folder / "conf",)
    keys = schema.require("device", "half", places).keys
    assert list(keys) == list(schema.require("device", "cuda").keys)
    assert (keys["precision"].default, keys["precision"].type.choices[:1]) == ("bf16", ("fp32",))
    assert keys["precision"].meaning
    assert schema.choice("device", "half", places)["precision"] == "bf16"
    assert list(schema.require("device", "loop", places).keys) == ["index"]
    config = load.load_config(Composer("train", places), ["device=half", "device.threads=2"]).config.device
    assert (config.name, config.settings["precision"], config.settings["threads"]) == ("cuda", "bf16", 2)


def test_facts_defaults_and_spelling():
    assert schema.require("dataset", "digits").facts["gives"] == ("image", "classification")
    keys = schema.require("dataset", "table").keys
    assert (keys["path"].required, keys["path"].default_text) == (True, "(required)")
    assert [schema.yaml_text(value) for value in (True, None, [1, "a", False], 1e-3)] == [
        "true",
        "null",
        "[1, a, false]",
        "0.001",
    ]
    assert schema.find("model", "no_such_model") is None
    with pytest.raises(ConfigError, match=r"There is no model 'covnet'\. Did you mean 'convnet'\?"):
        schema.require("model", "covnet")


def test_a_file_in_a_sub_folder_is_a_choice_with_its_path(tmp_path: Path):
    (tmp_path / "experiment" / "vision").mkdir(parents=True)
    (tmp_path / "experiment" / "vision" / "small.yaml").write_text("# @package _global_\n# A small one.\nseed: 3\n")
    assert "vision/small" in schema.names("experiment", (tmp_path,))
    assert schema.require("experiment", "vision/small", (tmp_path,)).summary == "A small one."
    with pytest.raises(ConfigError, match="Did you mean 'vision/small'"):
        schema.require("experiment", "vision/smal", (tmp_path,))
