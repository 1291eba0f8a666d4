"""Image transforms that `auto` stands for, beside those that the user gives."""

from __future__ import annotations

from ptrun.config import auto, load
from ptrun.config.compose import Composer


def test_own_transforms_are_kept_when_the_rest_is_chosen_by_the_data():
    config = load.load_config(Composer(), ["transform.train=[cutout, normalize]"]).config
    chosen = auto.resolve_auto(config)[0].transform
    assert chosen.name == "normalize"
    assert [next(iter(step)) if isinstance(step, dict) else step for step in chosen.settings["train"]] == [
        "cutout",
        "normalize",
    ]
    assert len(chosen.settings["eval"]) == 1


def test_one_part_of_a_chosen_transform_can_be_left_to_the_data():
    config = load.load_config(Composer(), ["transform=basic", "transform.eval=auto"]).config
    config, decisions = auto.resolve_auto(config)
    by_data = auto.resolve_auto(load.load_config(Composer(), []).config)[0].transform
    assert config.transform.name == "basic"
    assert [next(iter(step)) for step in config.transform.settings["train"]] == [
        "random_crop",
        "horizontal_flip",
        "normalize",
    ]
    assert config.transform.settings["eval"] == by_data.settings["eval"]
    assert ("transform.eval", "auto", "that of normalize") in decisions
