"""Runs are found by their settings as these are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support import run_config

from ptrun.errors import ConfigError
from ptrun.runs.folder import RunDir
from ptrun.runs.matching import matching


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A convnet with adamw, a simplenet with sgd that failed, and a run whose configuration is damaged."""
    base = tmp_path_factory.mktemp("runs")
    for name, state, words in (
        ("a", "done", ("model=convnet", "optimizer.lr=0.01", "dataset=digits")),
        ("b", "failed", ("model=simplenet", "optimizer=sgd", "optimizer.lr=1e-3", "optimizer.nesterov=false")),
        ("c", "done", None),
    ):
        (base / name).mkdir()
        RunDir(base / name).write_status(state)
        text = "{" if words is None else yaml.safe_dump(run_config(*words).to_dict())
        (base / name / "resolved.yaml").write_text(text)
    return [base / name for name in "abc"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "abc"), (["model=convnet"], "a"), (["model=convnet,simplenet"], "ab"), (["model=*net"], "ab"),
        (["optimizer.lr=0.001"], "b"), (["optimizer.lr=1e-2,0.5"], "a"), (["optimizer.nesterov=False"], "b"),
        (["state=done"], "ac"), (["model=simplenet", "state=done"], ""), (["model.hidden_features=[64]"], "b"),
        (["train.max_steps=null"], "ab"), (["optimizer.lr=fast"], ""),
    ],
)  # fmt: skip
def test_which_runs_have_the_settings(runs: list[Path], words: list[str], names: str):
    assert [path.name for path in matching(runs, words)] == list(names)


def test_a_key_that_no_run_has(runs: list[Path]):
    with pytest.raises(ConfigError, match=r"modle: none of these 3 runs has such a setting\. Did you mean 'model'"):
        matching(runs, ["modle=convnet"])
    with pytest.raises(ConfigError, match=r"Did you mean optimizer\.lr\?"):
        matching(runs, ["lr=0.1"])
