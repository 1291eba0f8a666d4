"""`ptrun.sweep` is `ptrun train -m` from Python, and gives its table as records."""

from __future__ import annotations

from pathlib import Path

import pytest

import ptrun
from ptrun.errors import ConfigError
from ptrun.sweeps.result import sweep_result


@pytest.mark.slow
def test_the_table_as_records(folder: Path):
    result = ptrun.sweep(
        "train.max_steps=20",
        model="simplenet",
        plots=False,
        quiet=True,
        axes={"optimizer.lr": [0.01, 1e-6], "seed": range(2)},
        sweep={"dir": "sw", "plots": True},
    )
    page = (result.folder / "sweep.html").read_text()
    assert page.count("<figure") == 1  # by setting; no job has two epochs, which a learning curve needs
    assert [(record["optimizer.lr"], record["state"]) for record in result.records] == [
        (0.01, "done"), (0.01, "done"), (1e-6, "done"), (1e-6, "done"),
    ]  # fmt: skip
    best = result.records[0]
    assert result.best == folder / "sw" / best["job"] or result.best == Path("sw") / best["job"]
    assert best["test/accuracy"] > 0.5
    assert "test/accuracy" not in result.records[-1]
    assert [place["settings"] for place in result.configurations] == ["optimizer.lr=0.01", "optimizer.lr=1e-06"]
    assert result.configurations[0]["runs"] == 2
    assert "0.01" in result._repr_html_()
    assert repr(sweep_result(result.folder)) == repr(result)


def test_mistakes_are_errors(folder: Path):
    with pytest.raises(ConfigError, match=r"optimizer\.lr: expected float >= 0, got 'x'"):
        ptrun.sweep(axes={"optimizer.lr": [0.1, "x"]}, quiet=True)
    with pytest.raises(ConfigError, match="a search needs an axis"):
        ptrun.sweep(sweep={"name": "tpe"}, quiet=True)
