"""What is written of a prediction: the columns of each choice, and refusals of what a model does not give."""

from __future__ import annotations

import numpy as np
import pytest
from support import forecast_spec

from ptrun.errors import ConfigError
from ptrun.evaluation.prediction_table import (
    Interpreted,
    Table,
    as_list,
    columns_for,
    forecast_steps,
    numbers_for,
    probability_columns,
    resolve_what,
)
from ptrun.spec import DataSpec, Layout, Task

NOTHING = np.zeros((0, 0), np.float32)
CLASSES = DataSpec(
    layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(2,), num_outputs=3, class_names=("a", "b", "c")
)
PROBABILITIES = np.array([[0.5, 0.2, 0.3], [0.4, 0.4, 0.2]])


def lists(table: Table) -> dict[str, list[object]]:
    return {name: as_list(cells) for name, cells in table.items()}


def classes(**changes: object) -> Interpreted:
    values = {"values": np.array([0, 1]), "probabilities": PROBABILITIES, "logits": PROBABILITIES * 9}
    return Interpreted(CLASSES, **{**values, "embeddings": NOTHING, **changes})  # type: ignore[arg-type]


def test_the_predicted_class_comes_first_also_in_a_tie():
    table = columns_for("class", classes(), 2)
    assert table["label"] == ["a", "b"]
    assert table["label_2"] == ["c", "a"]
    assert table["probability_2"].tolist() == [0.3, 0.4]
    assert list(columns_for("class", classes(), 9)) == [
        f"{w}{s}" for s in ("", "_2", "_3") for w in ("label", "probability")
    ]


def test_all_probabilities_outputs_and_disagreement():
    table = columns_for("probabilities", classes(disagreement=np.array([0.0, 0.5])), 1)
    assert lists(table) == {
        "prob_a": [0.5, 0.4],
        "prob_b": [0.2, 0.4],
        "prob_c": [0.3, 0.2],
        "disagreement": [0.0, 0.5],
    }
    assert columns_for("logits", classes(), 1)["logit_b"] == pytest.approx([1.8, 3.6])
    embedded = classes(embeddings=np.ones((2, 4), np.float32))
    assert list(columns_for("embedding", embedded, 1)) == [f"feature_{i}" for i in range(4)]
    assert numbers_for("embedding", embedded).shape == (2, 4)
    assert numbers_for("class", embedded).tolist() == [0, 1]


def test_probabilities_are_told_from_other_columns():
    names = ["input", "label", "probability", "probability_2", "prob_a"]
    assert probability_columns("class", names) == {"probability", "probability_2", "prob_a"}
    assert probability_columns("values", names) == set(), "a number to predict may have such a name"


def test_a_forecast_is_a_row_for_each_step():
    numbers = np.arange(6.0)[None]
    predicted = Interpreted(forecast_spec(), numbers, None, NOTHING, NOTHING, numbers / 10)
    table = forecast_steps(predicted, ["t1", "t2", "t3"])
    assert lists(table) == {
        "step": [1, 2, 3],
        "time": ["t1", "t2", "t3"],
        "wind": [0.0, 2.0, 4.0],
        "rain": [1.0, 3.0, 5.0],
        "disagreement_wind": pytest.approx([0.0, 0.2, 0.4]),
        "disagreement_rain": pytest.approx([0.1, 0.3, 0.5]),
    }


def test_what_a_model_does_not_give_is_refused():
    assert resolve_what("auto", CLASSES) == "class"
    assert resolve_what("auto", forecast_spec()) == "values"
    with pytest.raises(ConfigError, match="predicts numbers"):
        resolve_what("probabilities", forecast_spec())
    with pytest.raises(ConfigError, match="predicts classes"):
        resolve_what("values", CLASSES)
