"""Tables of a CSV file: columns, targets, parts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ptrun.data.dataset import Data
from ptrun.data.datasets.table import table
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError
from ptrun.spec import Task

ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]


def write(path: Path, header: str, rows: list[str]) -> str:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def flats(count: int = 60) -> list[str]:
    """Rows of: id, size (some missing), town (some missing), unit (constant), note (all different), kind."""
    towns = ["Bern", "Chur", "?", "Bern"]
    sizes = ["40", "55.5", "NA", "70", "inf"]
    return [f"{i + 1},{sizes[i % 5]},{towns[i % 4]},m2,note {i},{'flat' if i % 3 else 'house'}" for i in range(count)]


HEADER = "id,size,town,unit,note,kind"


def split(data: Data, part: str = "train") -> TensorSplit:
    samples = getattr(data, part)
    assert isinstance(samples, TensorSplit)
    return samples


def test_columns_are_found_and_noted(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind")
    notes = " ".join(data.notes)
    assert data.spec.feature_names == ("size", "size missing", "town=Bern", "town=Chur", "town=(missing)")
    assert data.spec.feature_groups == (2, 3)
    assert data.spec.binary_features == (1, 2, 3, 4)
    assert data.spec.class_names == ("flat", "house")
    for sentence in ("they count the rows: id", "one value only in the training rows: unit", "a text of its own: note"):
        assert sentence in notes
    assert "size: numbers from 40 to 70; missing in 15 training rows, set to the median" in notes
    assert "town: 2 categories (Bern, Chur); missing in 11 training rows, a category of its own" in notes
    assert "one of 2 classes: flat (40), house (20)" in notes
    assert len(data.train) + len(data.val) + len(data.test) == 60


def test_missing_number_is_the_training_median_and_marked(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind")
    train = split(data)
    size = {0: 40.0, 1: 55.5, 3: 70.0}
    sizes = [size.get((int(row) - 2) % 5) for row in train.rows]
    present = np.array([value for value in sizes if value is not None])
    for value, entry in zip(sizes, train.inputs, strict=True):
        filled = np.median(present) if value is None else value
        assert float(entry[0]) == pytest.approx((filled - present.mean()) / present.std(), abs=1e-5)
        assert float(entry[1]) == (value is None)


def test_names_point_to_the_row_of_the_file(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind")
    row = int(data.test.name(0).removeprefix("row "))
    assert ("flat" if (row - 2) % 3 else "house") == data.spec.class_names[int(data.test.targets[0])]


def test_test_rows_change_nothing_in_train(tmp_path: Path) -> None:
    rows = flats()
    data = table(path=write(tmp_path / "a.csv", HEADER, rows), target="kind")
    for row in split(data, "test").rows.tolist():
        cells = rows[row - 2].split(",")
        rows[row - 2] = ",".join([cells[0], "99999", "Genf", *cells[3:]])
    changed = table(path=write(tmp_path / "b.csv", HEADER, rows), target="kind")
    assert data.train.fingerprint() == changed.train.fingerprint()
    assert data.fitted == changed.fitted
    assert data.test.fingerprint() != changed.test.fingerprint()


def test_fitted_treats_other_data_alike(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind")
    other = write(tmp_path / "b.csv", HEADER, ["7,40,Genf,m2,x,flat", "8,,Bern,m2,y,house"])
    again = table(path=other, target="kind", test_fraction=1.0, fitted=data.fitted)
    inputs = split(again, "test").inputs
    assert again.spec.feature_names == data.spec.feature_names
    assert inputs[0, 2:].tolist() == [0, 0, 0]
    assert inputs[1, 1:].tolist() == [1, 1, 0, 0]
    forty = split(data).inputs[(split(data).rows - 2) % 5 == 0][0, 0]
    assert inputs[0, 0] == forty


def test_fitted_refuses_an_unknown_label(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind")
    other = write(tmp_path / "b.csv", HEADER, ["7,40,Bern,m2,x,flats"])
    with pytest.raises(DataError, match=r"not in the training data: 'flats', first in row 2\. Did you mean 'flat'"):
        table(path=other, target="kind", fitted=data.fitted, test_fraction=1.0)


def test_test_file_and_labels_with_a_period(tmp_path: Path) -> None:
    test_path = write(tmp_path / "t.csv", HEADER, ["7,40,Bern,m2,x,flat.", "8,50,Bern,m2,x,house."])
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), test_path=test_path, target="kind")
    assert data.test.targets.tolist() == [0, 1]
    assert len(data.train) + len(data.val) == 60


@pytest.mark.parametrize(
    ("cells", "task", "names"),
    [
        (["yes", "no"], Task.CLASSIFICATION, ("no", "yes")),
        (["10", "9", "1.0"], Task.CLASSIFICATION, ("1", "9", "10")),
        (["0.5", "1.5"], Task.REGRESSION, ()),
        ([str(i) for i in range(40)], Task.REGRESSION, ()),
    ],
)
def test_task_follows_the_target(tmp_path: Path, cells: list[str], task: Task, names: tuple[str, ...]) -> None:
    rows = [f"{i * i},{cells[i % len(cells)]}" for i in range(40)]
    spec = table(path=write(tmp_path / "a.csv", "x,y", rows), target="y").spec
    assert (spec.task, spec.class_names) == (task, names)


def test_regression_targets_return_to_their_units(tmp_path: Path) -> None:
    rows = [f"{i * i},{i / 2}" for i in range(40)]
    data = table(path=write(tmp_path / "a.csv", "x,y", rows), target="y", task="regression")
    (mean,), (std,) = data.spec.target_mean, data.spec.target_std
    rows_of = split(data, "test").rows
    assert torch.allclose(data.test.targets[:, 0] * std + mean, (rows_of - 2) / 2, atol=1e-5)
    assert float(data.train.targets.mean()) == pytest.approx(0, abs=1e-6)
    again = table(path=str(tmp_path / "a.csv"), target="y", split_seed=9, fitted=data.fitted)
    assert again.spec.target_mean == data.spec.target_mean


def test_rows_without_target_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [f"{i * i},{'' if i % 10 == 0 else 'ab'[i % 2]}" for i in range(40)]
    data = table(path=write(tmp_path / "a.csv", "x,y", rows), target="y")
    assert len(data.train) + len(data.val) + len(data.test) == 36
    assert "Rows without a target, left out: 4." in data.notes


def test_lists_override_what_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER, flats())
    data = table(path=path, target="kind", numeric=["id"], categorical=["size"], ignore=["town"], max_categories=2)
    assert data.spec.feature_groups == (1, 4)
    assert data.spec.feature_names[3:] == ("size=(other)", "size=(missing)")
    assert "the rarest (2) share one feature" in " ".join(data.notes)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"target": "knd"}, DataError, r"no column 'knd'\. Did you mean 'kind'\? It has: id, size"),
        ({"target": "kind", "numeric": ["town"]}, DataError, "row 2, column 'town': 'Bern' is not a number"),
        ({"target": "kind", "ignore": ["twn"]}, DataError, r"dataset\.ignore: .*Did you mean 'town'"),
        ({"target": "kind", "numeric": ["kind"]}, ConfigError, "'kind' is the target"),
        ({"target": "kind", "task": "regression"}, DataError, "row 2, column 'kind': 'house' is not a number"),
        ({"target": "unit"}, DataError, "only the class 'm2'"),
        ({"target": "note"}, DataError, "Too few samples of 'note 0'"),
        ({"target": "kind", "ignore": ["size", "town"]}, DataError, "no column to predict 'kind' from"),
        ({"target": "kind", "task": "ranking"}, ConfigError, "auto, classification or regression"),
    ],
)
def test_mistakes_are_explained(
    tmp_path: Path, settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        table(path=write(tmp_path / "a.csv", HEADER, flats()), **settings)  # type: ignore[arg-type]


def test_text_in_a_test_file_is_named(tmp_path: Path) -> None:
    test_path = write(tmp_path / "t.csv", HEADER, ["7,40,Bern,m2,x,flat", "8,big,Bern,m2,x,house"])
    with pytest.raises(DataError, match=r"t\.csv, row 3, column 'size': 'big' is not a number"):
        table(path=write(tmp_path / "a.csv", HEADER, flats()), test_path=test_path, target="kind")


def test_adult(shared: Callable[[str], Path]) -> None:
    folder = shared("adult")
    data = table(
        path=str(folder / "adult-train.csv"),
        test_path=str(folder / "adult-test.csv"),
        columns=ADULT,
        target="income",
    )
    assert (len(data.train) + len(data.val), len(data.test)) == (32561, 16281)
    assert data.spec.class_names == ("<=50K", ">50K")
    assert data.spec.feature_groups == (1, 9, 1, 16, 1, 7, 15, 6, 5, 2, 1, 1, 1, 42)
    assert len(data.spec.binary_features) == 108 - 6
    assert float(data.test.targets.float().mean()) == pytest.approx(3846 / 16281)


def test_a_stray_text_among_numbers_is_named(tmp_path: Path) -> None:
    lines = ["age,income,left", *(f"{i % 30},{1000 + 7 * i},{'yes' if i % 2 else 'no'}" for i in range(60))]
    lines[7] = '3,"1.200,5",no'
    path = tmp_path / "people.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"row 8, column 'income': '1\.200,5' is not a number, but 59 of 60 cells"):
        table(path=str(path), target="left")
    assert "income" not in table(path=str(path), target="left", ignore=["income"]).spec.feature_names
