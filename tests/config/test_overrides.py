"""Overrides as they are typed: values, mistakes, and the jobs of a sweep."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ptrun.config import overrides
from ptrun.config.compose import Composer
from ptrun.errors import ConfigError


def test_values():
    texts = ["a.b=1", "c=[x,2]", "d='1'", "e=null", "f={g:true}", "h="]
    assert overrides.parse_values(texts) == {"a.b": 1, "c": ["x", 2], "d": "1", "e": None, "f": {"g": True}, "h": ""}


def test_every_text_that_is_no_value_is_reported():
    with pytest.raises(ConfigError) as error:
        overrides.parse_values(["seed", "seed = 5", "label={a", "~seed", "seed=1,2"])
    assert [problem.partition(": ")[0] for problem in error.value.problems] == [
        "seed",
        "seed = 5",
        "label={a",
        "~seed",
        "seed=1,2",
    ]
    assert error.value.problems[0] == "seed: expected KEY=VALUE, as in train.epochs=5."
    assert error.value.problems[1].endswith("no spaces around '='. Write seed=5.")
    assert "label=\"'{a'\"" in error.value.problems[2]


@pytest.mark.parametrize(
    "value",
    [
        "{a",
        "ssh node%n 'cd x && %work'",
        'sh -c "a; b"',
        'it\'s "b"',
        "a{$HOME}!",
        "echo {a} `b`",
        "a\\'b {",
        "1,2",
        "a,'b c'",
    ],
)
def test_the_quotes_that_a_message_proposes_work_when_typed(value: str):
    with pytest.raises(ConfigError) as error:
        overrides.parse_values([f"label={value}"])
    typed = error.value.problems[0].partition("quotes for the shell around those: ")[2].removesuffix(".")
    [text] = shlex.split(typed)
    assert overrides.parse_values([text]) == {"label": value}


def test_choices_that_do_not_exist(tmp_path: Path):
    assert overrides.override_problems("model=convnet") == []
    assert overrides.override_problems("anything=5") == []
    assert "Did you mean 'convnet'?" in overrides.override_problems("model=covnet")[0]
    assert overrides.override_problems("model=covnet", plugin_names={"model": ["covnet"]}) == []
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "covnet.yaml").write_text("name: covnet\n")
    assert overrides.override_problems("model=covnet", (tmp_path,)) == []
    assert len(overrides.override_problems("model=convnet,covnet,lstn")) == 2
    assert overrides.unknown_choices(["model=covnet", "model=lstm", "not valid"]) == ["model=covnet"]


def test_several_values_are_refused_without_the_flag():
    overrides.refuse_sweeps(["a=1", "b=[1,2]"])
    with pytest.raises(ConfigError, match="several values make a sweep, which -m starts: `ptrun train -m seed=1,2`"):
        overrides.refuse_sweeps(["a=1", "seed=1,2"])
    assert overrides.without_sweeps(["a=1", "seed=1,2", "b=choice(1,2)"]) == ["a=1"]


SWEEPS = [
    ["seed=1,2", "model=convnet", "lr=0.1,0.01"],
    ["a=choice(x,'y z')", "b=range(0,3)", "c=null"],
    ["seed=1", "seed=2,3"],
    ["a='b,c','d'", "e={f:1},{f:2}", "g=[1,2],[3]"],
    [],
]


@pytest.mark.parametrize("texts", SWEEPS, ids=str)
def test_a_grid_is_that_of_hydras_own_sweeper(texts: list[str]):
    sweeper = pytest.importorskip("hydra._internal.core_plugins.basic_sweeper").BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(texts)
    assert overrides.grid(texts) == [list(job) for job in sweeper.split_arguments(parsed, max_batch_size=None)[0]]


def test_values_are_spelled_as_yaml_spells_them():
    """Messages, receipts and tables show the overrides of a job, and a user pastes them."""
    texts = ["plots=False", "train.ema_warmup=true,false", "train.ema_decay=null", "label='it, True'"]
    one, other = overrides.grid([*texts, "transform.train=[{flip:{up:true}},normalize]"])
    same = ["train.ema_decay=null", "label='it, True'", "transform.train=[{flip:{up:true}},normalize]"]
    assert one == ["plots=false", "train.ema_warmup=true", *same]
    assert other == ["plots=false", "train.ema_warmup=false", *same]


def test_a_pattern_chooses_among_the_files_of_a_group():
    Composer()
    assert overrides.override_problems("scheduler=glob(p*)") == []
    assert overrides.is_sweep("scheduler=glob(p*)")
    assert overrides.grid(["scheduler=glob(p*)"]) == [["scheduler=plateau"], ["scheduler=polynomial"]]


def test_the_axes_are_the_keys_with_several_values():
    Composer()
    assert overrides.axes(["a=1", "+seed=1,2", "model=glob(conv*)", "b=[1,2]"]) == ["seed", "model"]
    assert overrides.axes(["seed=1,2", "seed=3"]) == []


def test_an_interval_needs_another_sweeper():
    with pytest.raises(ConfigError, match="an interval has no values to list"):
        overrides.grid(["lr=interval(0,1)"])


def test_unknown_keys_reach_our_own_check():
    assert overrides.forced("train.epoch=3") == "++train.epoch=3"
    assert overrides.forced("+train.epoch=3") == "++train.epoch=3"
    assert overrides.forced("model=convnet") == "model=convnet"
    assert overrides.forced("hydra/launcher=basic") == "hydra/launcher=basic"


def test_a_text_arrives_as_typed_wherever_overrides_are_read():
    assert overrides.parse_values(["label=1.50", "dataset.path=~/data (1).csv"]) == {
        "label": "1.50",
        "dataset.path": "~/data (1).csv",
    }
    assert overrides.grid(["label=1.50,2", "seed=1"]) == [["label='1.50'", "seed=1"], ["label=2", "seed=1"]]
    assert Composer().compose(["label=2020_21", "optimizer.lr=1_0"]).label == "2020_21"


@pytest.mark.parametrize("text", ["a b", "it's", "a\\'b", "back\\", "${x}/y", "a=b,c", "{a}[b]: ü", "'"])
def test_a_quoted_text_means_itself(text: str):
    values = overrides.parse_values([f"label={overrides.quoted(text)}"])
    assert OmegaConf.create({"x": 1, **values}).label == text
