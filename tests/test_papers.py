"""The sweeps that test the claims of papers (docs/sweeps.md): each is one command, which judges what it compares."""

from __future__ import annotations

from pathlib import Path

import pytest

import ptrun
from ptrun.config.compose import Composer
from ptrun.config.jobs import load_sweep

SHORTENED = {
    "paper_dropout": ["model.hidden_features=[16]", "model.dropout=0.0,0.5"],
    "paper_residual": ["model.width=1", "split.test_fraction=0.8"],
    "paper_adam": ["model.hidden_features=[16]", "optimizer.lr=0.01"],
    "paper_attention": ["dataset.num_sequences=200", "dataset.length=8,64"],
}


@pytest.mark.parametrize("recipe", SHORTENED)
def test_every_job_is_valid_and_there_is_something_to_compare(recipe: str):
    sweep = load_sweep(Composer(), [f"experiment={recipe}"])
    assert sweep is not None
    assert sweep.settings.compare
    assert "seed" in sweep.axes
    assert (sweep.settings.seeds or 0) >= 3
    seeds = {(config.seed, config.split.settings["seed"]) for config in (job.loaded.config for job in sweep.jobs)}
    assert len(seeds) == sweep.settings.seeds


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SHORTENED)
def test_it_ends_with_a_verdict_on_each_comparison(folder: Path, recipe: str):
    words = [f"experiment={recipe}", "train.epochs=1", "train.max_steps=2", "sweep.seeds=2", *SHORTENED[recipe]]
    result = ptrun.sweep(*words, quiet=True)
    assert {record["state"] for record in result.records} == {"done"}
    sweep = load_sweep(Composer(), words)
    assert sweep is not None
    assert len(result.verdicts) == len(sweep.settings.compare or ())
    assert all("2 pairs of runs" in sentence for sentence in result.verdicts)
    assert (result.folder / "verdicts.txt").read_text(encoding="utf-8").splitlines() == result.verdicts
