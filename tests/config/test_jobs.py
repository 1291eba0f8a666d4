"""The jobs of a sweep are what Hydra composes for each of them, and a job is known again by what decides its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config import compose
from ptrun.config.compose import Composer
from ptrun.config.jobs import Search, SweepConfig, load_sweep
from ptrun.config.load import check
from ptrun.errors import ConfigError


def load(*words: str) -> SweepConfig:
    sweep = load_sweep(Composer(), words)
    assert sweep is not None
    return sweep


def overrides(sweep: SweepConfig) -> list[str]:
    return [" ".join(job.overrides) for job in sweep.jobs]


def test_every_combination_is_a_job_and_the_last_key_changes_fastest():
    sweep = load("model=convnet,simplenet", "train.epochs=3", "seed=1,2")
    assert overrides(sweep) == [
        "model=convnet train.epochs=3 seed=1", "model=convnet train.epochs=3 seed=2",
        "model=simplenet train.epochs=3 seed=1", "model=simplenet train.epochs=3 seed=2",
    ]  # fmt: skip
    assert (sweep.axes, sweep.fixed) == (["model", "seed"], ["train.epochs=3"])
    first = sweep.jobs[0].loaded.config
    assert (first.model.name, first.seed) == ("convnet", 1)


def test_several_lists_of_recipes():
    sweep = load("experiment=[digits_convnet,digits_simplenet],[digits_attention]")
    assert [job.loaded.config.model.name for job in sweep.jobs] == ["simplenet", "attention"]
    with pytest.raises(ConfigError, match=r"no experiment 'digits_convnt'\. Did you mean 'digits_convnet'"):
        load("experiment=[digits_convnt,digits_simplenet],[digits_attention]")


def test_paired_axes_are_walked_together():
    words = ("optimizer.lr=0.1,0.01", "model=convnet,simplenet", "train.batch_size=32,64")
    sweep = load(*words, "sweep.paired=[train.batch_size,optimizer.lr]")
    assert overrides(sweep) == [
        "optimizer.lr=0.1 model=convnet train.batch_size=32", "optimizer.lr=0.1 model=simplenet train.batch_size=32",
        "optimizer.lr=0.01 model=convnet train.batch_size=64", "optimizer.lr=0.01 model=simplenet train.batch_size=64",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sweep.paired=[optimizer.lr,seed]",), "optimizer.lr has 2 values, seed has 3 values. Axes that are paired"),
        (
            ("sweep.paired=[optimizer.rl,seed]",),
            "'optimizer.rl' has not several values in this sweep. Did you mean 'opt",
        ),
        (("sweep.paired=[seed,train.epochs]",), "'train.epochs' has not several values in this sweep"),
        (("sweep.paired=[seed]",), "expected two or more different axes, got seed."),
        (("sweep.paired=[seed,seed]",), "expected two or more different axes, got seed, seed."),
        (("sweep=tpe", "sweep.paired=[optimizer.lr,seed]"), "Only a grid pairs axes."),
    ],
)
def test_what_can_not_be_paired_is_refused(words: tuple[str, ...], sentence: str):
    with pytest.raises(ConfigError, match=r"^sweep\.paired: .*" + sentence.replace("?", r"\?")):
        load("optimizer.lr=0.1,0.01", "seed=1,2,3", "train.epochs=1", *words)


def test_a_combination_that_repeats_another_one_is_run_once():
    composer = Composer()
    sweep = load_sweep(composer, ("optimizer.lr=0.1,1e-1,0.2", "model=convnet"))
    assert sweep is not None
    assert overrides(sweep) == ["optimizer.lr=0.1 model=convnet", "optimizer.lr=0.2 model=convnet"]
    assert list(composer.notes) == [
        "1 of the 3 combinations repeats another one and is not run twice. Other values of seed make more runs."
    ]


def test_all_problems_of_all_jobs_are_found():
    with pytest.raises(ConfigError) as raised:
        load("train.epochs=1,-1", "optimizer.lr=x", "seed=1")
    of_one_job, of_all = sorted(raised.value.problems, reverse=True)
    assert of_one_job.startswith("train.epochs: ")
    assert of_one_job.endswith("(job: train.epochs=-1 optimizer.lr=x seed=1)")
    assert "(job:" not in of_all


@pytest.mark.parametrize(
    "words",
    [
        ("model=convnet,simplenet", "optimizer.lr=0.1,1e-2", "seed=range(0,3)", "label=s${seed}"),
        ("optimizer=sgd,adamw", "optimizer.weight_decay=0,0.1", "train.clip_norm=null,1", "label='a,b',c"),
        ("transform.train=[normalize],[cutout,normalize]", "train={epochs: 2},{epochs: 3}", "train.batch_size=16"),
        ("experiment=digits_convnet,diabetes", "train.epochs=2,3"),
        ("label=${hydra:job.num},x", "seed=1,2"),
    ],
)
def test_a_job_is_what_hydra_composes_for_it(words: tuple[str, ...]):
    composer = Composer()
    for number, job in enumerate(load(*words).jobs):
        with compose.job_values(composer.compose_checked(job.overrides), number) as composed:
            assert job.loaded.as_written == compose.plain(composed, resolve=False)
            assert job.loaded.config == check(composed, (), {})


def test_a_plugins_component_is_chosen_once_for_all_jobs(folder: Path):
    (folder / "own.py").write_text(
        "from ptrun.registry import losses\n"
        "@losses.register\n"
        "def sweep_loss(outputs, targets, *, scale: float = 1.0):\n"
        "    return scale * (outputs - targets).pow(4).mean()\n"
    )
    sweep = load("plugins=[own.py]", "loss=sweep_loss", "dataset=diabetes", "loss.scale=1.0,2.0")
    losses = [job.loaded.config.loss for job in sweep.jobs]
    assert [(loss.name, loss.settings["scale"]) for loss in losses] == [("sweep_loss", 1.0), ("sweep_loss", 2.0)]


def test_where_the_sweep_lies():
    assert load("seed=1,2").folder == ""
    assert load("seed=1,2", "sweep.dir=there").folder == "there"
    assert load("seed=1,2", "hydra.sweep.dir=elsewhere").folder == "elsewhere"
    sweep = load("seed=1,2", "hydra.sweep.subdir=s${seed}/x")
    assert [job.subdir for job in sweep.jobs] == ["s1_x", "s2_x"]


def test_the_axes_of_a_recipe_come_before_those_of_the_command(folder: Path):
    path = folder / "conf" / "experiment" / "seeds.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: 5,6\n      train.epochs: 2\n")
    for words, expected in ((["seed=7,8"], [7, 8]), ([], [5, 6])):
        sweep = load_sweep(Composer("train", [folder / "conf"]), ["experiment=seeds", *words])
        assert sweep is not None
        assert [job.loaded.config.seed for job in sweep.jobs] == expected
        assert {job.loaded.config.train.epochs for job in sweep.jobs} == {2}


def search(*words: str) -> Search:
    found = load("sweep=random", *words).search
    assert found is not None
    return found


LR = "optimizer.lr=tag(log,interval(1e-4,1e-1))"


def test_the_jobs_of_a_search_are_made_one_point_at_a_time():
    found = search(LR, "train.epochs=3", "model=simplenet", "seed=4,5")
    assert [one.key for one in found.space] == ["optimizer.lr"]
    assert found.overrides({"optimizer.lr": 0.01}) == [
        ["optimizer.lr=0.01", "train.epochs=3", "model=simplenet", "seed=4"],
        ["optimizer.lr=0.01", "train.epochs=3", "model=simplenet", "seed=5"],
    ]
    first, second = found.jobs({"optimizer.lr": 0.01})
    assert first.loaded.config.optimizer.settings["lr"] == 0.01
    assert (first.loaded.config.seed, second.loaded.config.seed) == (4, 5)


def test_a_setting_that_some_components_lack_is_searched_with_the_others():
    found = search("model=convnet,simplenet", "model.dropout=interval(0,0.5)")
    assert [one.within for one in found.space] == [None, ["convnet"]]
    assert found.overrides({"model": "simplenet"}) == [["model=simplenet"]]
    assert found.overrides({"model": "convnet", "model.dropout": 0.1}) == [["model=convnet", "model.dropout=0.1"]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("model=convnet,simplenet", "model.dropuot=interval(0,1)"), "there is no such key. Did you mean"),
        (("train.epochs=interval(-3,3)",), "train.epochs: expected int >= 1 or auto, got -3"),
        (("model=lstm,convnet",), "'lstm' reads sequences"),
        (("train.epochs=3",), "a search needs an axis"),
        ((LR, "seed=1,2", "sweep.seeds=3"), "sweep.seeds: seed=1,2 gives the values of the seed already"),
    ],
)
def test_a_search_is_checked_before_it_begins(words: tuple[str, ...], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        search(*words)


@pytest.mark.parametrize("text", ["sweep=tp", "model=convne", "experiment=digits_convne", "model=convne,simplenet"])
def test_a_choice_that_does_not_exist_is_named_with_the_nearest(text: str):
    with pytest.raises(ConfigError, match=r"there is no (\w+) '\w+'\. Did you mean '(tpe|convnet|digits_convnet)'"):
        load("seed=1,2", text)


def test_a_number_of_seeds_is_an_axis():
    assert overrides(load("model=convnet,simplenet", "seed=7", "sweep.seeds=2")) == [
        "model=convnet seed=7", "model=convnet seed=8", "model=simplenet seed=7", "model=simplenet seed=8",
    ]  # fmt: skip
    assert load("sweep.seeds=1").axes == ["seed"]


def test_settings_of_the_sweep_are_none_of_its_jobs():
    assert overrides(load("seed=1,2", "sweep.jobs=1")) == ["seed=1", "seed=2"]
    with pytest.raises(ConfigError, match="has one value"):
        load("seed=1,2", "sweep.jobs=1,2")
    with pytest.raises(ConfigError, match=r"has one value\. Put quotes .*: sweep\.slurm_options=\"'-w a,b'\"\.$"):
        load("seed=1,2", "sweep.slurm_options=-w a,b")
    with pytest.raises(ConfigError, match=r"A list is written in brackets: sweep\.hosts=\[one,two\]\.$"):
        load("seed=1,2", "sweep.hosts=one,two")
