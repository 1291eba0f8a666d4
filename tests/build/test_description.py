"""The configuration in one line."""

from __future__ import annotations

from ptrun.build.description import describe_training
from ptrun.config import load
from ptrun.config.compose import Composer


def test_the_line_names_what_decides_a_training():
    config = load.load_config(Composer(), ["loss=cross_entropy", "optimizer=sgd", "optimizer.lr=0.1", "seed=3"]).config
    assert describe_training(config) == (
        f"cross_entropy, sgd lr 0.1, scheduler {config.scheduler.name}, batches of {config.train.batch_size}, seed 3"
    )
