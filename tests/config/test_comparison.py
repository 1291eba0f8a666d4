"""The comparisons of a sweep are read and checked before any job runs."""

from __future__ import annotations

import pytest

from ptrun.config.comparison import comparison_problems, has_settings, parse_comparison, require_jobs
from ptrun.config.compose import Composer
from ptrun.config.jobs import load_sweep
from ptrun.errors import ConfigError

TEXT = "model.dropout=0.5 < model.dropout=0"


def test_both_sides_are_settings():
    comparison = parse_comparison("model=attention dataset.length=64 >  model=lstm dataset.length=64")
    assert comparison.first == {"model": "attention", "dataset.length": 64}
    assert (comparison.second_text, comparison.is_higher) == ("model=lstm dataset.length=64", True)
    assert not parse_comparison(TEXT).is_higher


def test_a_job_has_settings_whatever_their_spelling():
    overrides = ["experiment=x", "model.dropout=0.0", "model.shortcuts=True", "seed=1"]
    assert has_settings(overrides, {"model.dropout": 0})
    assert has_settings(overrides, {"model.shortcuts": True, "model.dropout": 0.0})
    assert not has_settings(overrides, {"model.dropout": 0.5})
    assert not has_settings(overrides, {"model.depth": 20})


@pytest.mark.parametrize("text", ["model.dropout=0.5", "a=1<a=2", "a=1 < a=2 < a=3", "dropout < model.dropout=0", ""])
def test_another_text_is_told(text: str):
    with pytest.raises(ConfigError, match="expected"):
        parse_comparison(text)


def test_a_metric_that_is_not_there():
    assert comparison_problems([TEXT], None, "best") == []
    assert comparison_problems([TEXT], "train/loss", "none") == []
    assert comparison_problems([TEXT], "test/accuracy", "all") == []
    (problem,) = comparison_problems([TEXT], "test/acuracy", "all")
    assert "Did you mean 'test/accuracy'?" in problem
    (problem,) = comparison_problems([TEXT], "test/accuracy", "best")
    assert "sweep.test=all" in problem


def test_settings_that_no_job_has():
    require_jobs([TEXT], [["model.dropout=0.5"], ["model.dropout=0.0"]])
    with pytest.raises(ConfigError, match=r"no job of this sweep has model\.dropout=0\. .*sweep\.compare=null"):
        require_jobs([TEXT], [["model.dropout=0.5"], ["model.dropout=0.1"]])


def test_they_are_checked_with_the_sweep():
    overrides = ["model=regularized", "model.dropout=0.5,0.1", f'sweep.compare=["{TEXT}"]']
    with pytest.raises(ConfigError, match=r"no job of this sweep has model\.dropout=0\."):
        load_sweep(Composer(), overrides)
    sweep = load_sweep(Composer(), [*overrides, "model.dropout=0.5,0"])
    assert sweep is not None
    assert sweep.settings.compare == [TEXT]
