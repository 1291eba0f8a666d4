"""A job is known again by what decides its result. (That copies are what Hydra composes, test_jobs.py shows.)"""

from __future__ import annotations

from ptrun.config.compose import Composer
from ptrun.config.composition import HARMLESS, identity
from ptrun.config.jobs import SweepConfig, load_sweep
from ptrun.config.load import load_config
from ptrun.config.run_config import RunConfig


def load(*words: str) -> SweepConfig:
    sweep = load_sweep(Composer(), words)
    assert sweep is not None
    return sweep


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
