"""Texts and paths arrive as they were typed; numbers, lists, sweeps and Hydra's own grammar keep their meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptrun.config.as_typed import as_typed
from ptrun.config.overrides import parse_values


@pytest.mark.parametrize(
    "value",
    [
        "Müller/x.csv",
        "data (1)/x.csv",
        "~/x.csv",
        "a=b",
        "x(1).csv",
        "x[1].csv",
        "日本.csv",
        "a;b",
        "what?",
        "a&b",
        "<x>",
    ],
)
def test_a_value_that_hydra_refuses_is_text(value: str):
    assert parse_values([f"dataset.path={value}"]) == {"dataset.path": value}
    assert parse_values([f"anything={value}"]) == {"anything": value}


@pytest.mark.parametrize("value", ["2020_21", "1.50", "1e3", "1_1_1", "true", "nan", "0.10", "+5"])
@pytest.mark.parametrize(
    "key", ["dataset.target", "dataset.path", "label", "output_dir", "checkpoint", "model.weights"]
)
def test_a_text_that_looks_like_a_number_is_text(key: str, value: str):
    assert parse_values([f"{key}={value}"]) == {key: value}


def test_items_of_lists_and_values_of_sweeps():
    assert parse_values(["dataset.ignore=[2020_21, Müller, b]"]) == {"dataset.ignore": ["2020_21", "Müller", "b"]}
    assert parse_values(["plugins=[~/a (1).py,b.py]"]) == {"plugins": ["~/a (1).py", "b.py"]}
    assert as_typed("dataset.target=2020_21,b") == "dataset.target='2020_21',b"
    assert as_typed("dataset.path=Müller.csv,b.csv") == "dataset.path='Müller.csv',b.csv"


@pytest.mark.parametrize(
    "text",
    [
        "train.ema_decay=9e-1", "optimizer.lr=1_0", "train.epochs=1e1", "label=null", "label=5", "plots=true",
        "optimizer.betas=[0.80,0.9]", "metrics=[accuracy,{top_k:{k:3}}]", "label='a,b'", "label=${seed}", "label=",
        "seed=1,2", "optimizer.betas=[0.9,0.99],[0.8,0.9]", "optimizer.lr=interval(0.1,0.2)", "label=choice(1.50,2)",
        "model=glob(c*)", "label=[1,2", "label={a", "seed = 5", "label=choice(a (1),b)", "unknown.key=1.50",
    ],
)  # fmt: skip
def test_everything_else_stays_as_it_is(text: str):
    assert as_typed(text) == text


def test_a_users_own_declaration_counts(tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "own.yaml").write_text(
        "name: own\nedition: a  # str: a word\nscale: 1.0  # float: a number\n"
    )
    assert as_typed("model.edition=1.50") == "model.edition=1.50"
    assert as_typed("model.edition=1.50", (tmp_path,)) == "model.edition='1.50'"
    assert as_typed("model.scale=1.50", (tmp_path,)) == "model.scale=1.50"
