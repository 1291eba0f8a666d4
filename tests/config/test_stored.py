"""A stored configuration: which settings may change, and by which words a change is refused or noted."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from ptrun.config import stored
from ptrun.config.compose import Composer
from ptrun.config.load import import_components, load_config
from ptrun.config.run_config import RunConfig
from ptrun.errors import ConfigError

REGISTRIES = import_components([])


@pytest.fixture
def config() -> RunConfig:
    return load_config(Composer(), ["model=convnet", "transform=basic", "train.epochs=20"]).config


def change(values: dict[str, Any], changes: dict[str, Any], changeable: tuple[str, ...]) -> RunConfig:
    return stored.changed_config(values, changes, changeable, REGISTRIES, ())


def test_changes_are_made_in_a_copy_and_checked(config: RunConfig):
    values = config.to_dict()
    before = copy.deepcopy(values)
    changed = change(values, {"device.threads": 2, "device": "cpu"}, stored.CHANGEABLE_WHEN_EVALUATING)
    assert (changed.device.name, changed.device.settings["threads"]) == ("cpu", 2)
    assert changed.device.settings.keys() == config.device.settings.keys()
    assert values == before
    with pytest.raises(ConfigError, match=r"train\.epochs: expected int >= 1 or auto, got 0"):
        change(values, {"train.epochs": 0}, stored.CHANGEABLE_WHEN_EVALUATING)


@pytest.mark.parametrize(
    ("changeable", "key"),
    [
        (stored.CHANGEABLE_WHEN_EVALUATING, "model.dropout"),
        (stored.CHANGEABLE_WHEN_REPRODUCING, "train.epochs"),
        (stored.CHANGEABLE_WHEN_RESUMING, "plugins"),
        (stored.CHANGEABLE_WHEN_RESUMING, "trian.epochs"),
    ],
)
def test_a_setting_that_may_not_change(config: RunConfig, changeable: tuple[str, ...], key: str):
    with pytest.raises(ConfigError, match=f"^{key}: can't be changed here. What can: {changeable[0]}, "):
        change(config.to_dict(), {key: 1}, changeable)


def test_a_component_of_a_plugin_needs_its_file(config: RunConfig):
    values = config.to_dict()
    values["model"] = {"name": "somebody_elses"}
    with pytest.raises(ConfigError, match=r"model: 'somebody_elses' .* name its file: plugins=\[FILE.py\]"):
        change(values, {}, ())


def test_what_keeps_the_numbers_may_change_in_a_resumed_run(config: RunConfig):
    train = replace(config.train, epochs=40, num_workers=2)
    notes = stored.refuse_changes(config.to_dict(), replace(config, train=train, plots=False), (), REGISTRIES)
    assert notes == [
        (
            "train.epochs: 20 until now, 40 from here on. "
            "The learning-rate schedule is stretched to the new length from here on."
        ),
        "train.num_workers: 'auto' until now, 2 from here on.",
        "plots: true until now, false from here on.",
    ]


def test_what_changes_the_numbers_is_refused_unless_it_is_allowed(config: RunConfig):
    changed = replace(config, seed=1, train=replace(config.train, batch_size=8))
    with pytest.raises(ConfigError) as error:
        stored.refuse_changes(config.to_dict(), changed, (), REGISTRIES)
    assert [problem.partition(":")[0] for problem in error.value.problems] == ["train.batch_size", "seed"]
    assert "insist with --allow-change train.batch_size." in error.value.problems[0]
    assert len(stored.refuse_changes(config.to_dict(), changed, ("seed", "train.batch_size"), REGISTRIES)) == 2


def test_another_division_of_the_samples_is_refused(config: RunConfig):
    """Though split=auto stays auto, its settings count."""
    changed = replace(config, split=replace(config.split, settings={**config.split.settings, "seed": 1}))
    with pytest.raises(ConfigError, match=r"split\.seed: the run was started with 0, now it is 1"):
        stored.refuse_changes(config.to_dict(), changed, (), REGISTRIES)


def test_a_run_of_before_the_group_split_goes_on_with_its_parts(config: RunConfig):
    old = config.to_dict()
    del old["split"]
    old["dataset"] |= {"val_fraction": 0.1, "test_fraction": 0.2, "split_seed": 0}
    changed = change(old, {"dataset.test_fraction": 0.3, "split.seed": 2}, stored.CHANGEABLE_WHEN_EVALUATING)
    assert (changed.split.settings["test_fraction"], changed.split.settings["seed"]) == (0.3, 2)
    assert (changed.split.settings["duplicates"], changed.split.settings["column"]) == ("apart", None)
    assert stored.refuse_changes(old, stored.as_old_as(config, old), (), REGISTRIES) == []


def test_auto_agrees_with_what_it_was_decided_to_be():
    before = {"model": {"name": "convnet", "width": 3}, "metrics": ["a"], "seed": 1}
    now = {"model": {"name": "auto"}, "metrics": "auto", "seed": 2, "label": None}
    assert list(stored.differences(before, now)) == [("seed", 1, 2)]


def test_every_listed_key_exists(config: RunConfig):
    values = config.to_dict()
    for key in stored.KEEPS_NUMBERS:
        part: Any = values
        for name in key.split("."):
            assert name in part or name == "cache", key
            part = part.get(name, {})


def test_a_setting_that_a_stored_configuration_lacks_means_what_was_done_then(config: RunConfig):
    old = config.to_dict()
    del old["train"]["ema_warmup"]
    assert config.train.ema_warmup
    assert not stored.changed_config(old, {}, ("train",), {}, ()).train.ema_warmup
    assert stored.changed_config(old, {"train.ema_warmup": True}, ("train",), {}, ()).train.ema_warmup
    assert stored.as_old_as(config, config.to_dict()) == config
    arrays = stored.complete({"dataset": {"name": "arrays", "path": "a.npz"}}, REGISTRIES)
    assert arrays["dataset"] == {"name": "arrays", "path": "a.npz", "layout": "by_type"}
    assert stored.refuse_changes(old, stored.as_old_as(config, old), (), {}) == []
    with pytest.raises(ConfigError, match=r"train\.ema_warmup"):
        stored.refuse_changes(old, config, (), {})


def test_what_only_the_machine_of_the_training_needs_is_left_out(config: RunConfig):
    values = {**config.to_dict(), "weights": "a.pt", "plugins": ["p.py"], "label": "mine", "output_dir": "/home/me"}
    given = stored.without_local_settings(values)
    assert (given["weights"], given["plugins"], given["label"], given["output_dir"]) == (None, [], None, "outputs")
    assert given["model"] == values["model"]
    assert values["weights"] == "a.pt"
