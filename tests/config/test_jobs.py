"""The jobs of a sweep are what Hydra composes for each of them, and a job is known again by what decides its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config import compose
from ptrun.config.compose import Composer
from ptrun.config.jobs import HARMLESS, SweepConfig, identity, load_sweep
from ptrun.config.load import check, load_config
from ptrun.config.run_config import RunConfig
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


def config(*words: str) -> RunConfig:
    return load_config(Composer(), words).config


def test_a_job_is_known_by_what_decides_its_result():
    plain = identity(config(), [])
    harmless = ("plots=false", "label=x", "logger=tensorboard", "output_dir=there", "checkpoint.every_steps=5")
    assert identity(config(*harmless, "train.num_workers=2"), []) == plain
    for word in ("seed=1", "train.epochs=3", "device.threads=1", "checkpoint=none", "model=simplenet"):
        assert identity(config(word), []) != plain, word


def test_a_harmless_setting_with_several_values_makes_several_jobs():
    assert len(load("train.num_workers=0,2").jobs) == 2
    assert len(load("seed=1,1", "model=auto,auto").jobs) == 1


def test_a_setting_whose_name_begins_like_that_of_an_axis_stays_harmless():
    words = ("dataset=image_folder", "dataset.root=x", "model=convnet")
    there = config(*words, "dataset.cache_dir=there")
    assert identity(there, ["dataset.cache"]) == identity(config(*words), ["dataset.cache"])
    assert identity(there, ["dataset"]) != identity(config(*words), ["dataset"])


def test_harmless_settings_exist():
    values = config("dataset=image_folder", "dataset.root=x", "model=convnet").to_dict()
    for key in HARMLESS:
        group, _, name = key.partition(".")
        assert name in values[group] if name else group in values, key
