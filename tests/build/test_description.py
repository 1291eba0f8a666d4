"""The configuration in one line."""

from __future__ import annotations

from ptrun.build.description import describe_training, longer_training, stored_facts
from ptrun.config import load
from ptrun.config.compose import Composer


def test_the_line_names_what_decides_a_training():
    config = load.load_config(Composer(), ["loss=cross_entropy", "optimizer=sgd", "optimizer.lr=0.1", "seed=3"]).config
    assert describe_training(config) == (
        f"cross_entropy, sgd lr 0.1, scheduler {config.scheduler.name}, batches of {config.train.batch_size}, seed 3"
    )


def test_facts_of_a_stored_configuration():
    config = load.load_config(
        Composer(), ["dataset=table", "dataset.path=a.csv", "dataset.target=y", "model=simplenet"]
    )
    facts = stored_facts(config.config.to_dict())
    assert facts["model"] == {"name": "simplenet", "settings": {"hidden_features": [64]}}
    assert facts["data"] == {"dataset": "table", "location": {"path": "a.csv", "target": "y"}}
    assert facts["training"]["optimizer"] == "adamw"


def test_a_training_twice_as_long():
    assert longer_training({"train": {"epochs": 3, "max_steps": None}}) == "train.epochs=6"
    assert longer_training({"train": {"epochs": 3, "max_steps": 40}}) == "train.max_steps=80"
