"""Tables of a CSV file: columns, targets, parts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet

from ptrun.data.dataset import Data
from ptrun.data.datasets.table import table
from ptrun.data.split_settings import SplitSettings
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


ALL_TEST = SplitSettings(test_fraction=1.0, evaluating=True)
APART = SplitSettings(duplicates="apart")  # for tables of few different rows
HEADER = "id,size,town,unit,note,kind"


def split(data: Data, part: str = "train") -> TensorSplit:
    samples = getattr(data, part)
    assert isinstance(samples, TensorSplit)
    return samples


def test_columns_are_found_and_noted(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind", splitting=APART)
    notes = " ".join(data.notes)
    assert data.spec.feature_names == ("size", "size missing", "town=Bern", "town=Chur", "town=(missing)")
    assert data.spec.feature_groups == (2, 3)
    assert data.spec.binary_features == (1, 2, 3, 4)
    assert data.spec.class_names == ("flat", "house")
    for sentence in (
        "they count the rows): id",
        "one value only in the training rows): unit",
        "a text of its own): note",
    ):
        assert sentence in notes
    assert "size: numbers from 40 to 70; missing in 15 training rows, set to the median" in notes
    assert "town: 2 categories (Bern, Chur); missing in 12 training rows, a category of its own" in notes
    assert "one of 2 classes: flat (40), house (20)" in notes
    assert len(data.train) + len(data.val) + len(data.test) == 60


def test_missing_number_is_the_training_median_and_marked(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind", splitting=APART)
    train = split(data)
    size = {0: 40.0, 1: 55.5, 3: 70.0}
    sizes = [size.get((int(row) - 2) % 5) for row in train.rows]
    present = np.array([value for value in sizes if value is not None])
    for value, entry in zip(sizes, train.inputs, strict=True):
        filled = np.median(present) if value is None else value
        assert float(entry[0]) == pytest.approx((filled - present.mean()) / present.std(), abs=1e-5)
        assert float(entry[1]) == (value is None)


def test_names_point_to_the_row_of_the_file(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind", splitting=APART)
    row = int(data.test.name(0).removeprefix("row "))
    assert ("flat" if (row - 2) % 3 else "house") == data.spec.class_names[int(data.test.targets[0])]


def test_test_rows_change_nothing_in_train(tmp_path: Path) -> None:
    rows = flats()
    data = table(path=write(tmp_path / "a.csv", HEADER, rows), target="kind", splitting=APART)
    for row in split(data, "test").rows.tolist():
        cells = rows[row - 2].split(",")
        rows[row - 2] = ",".join([cells[0], "99999", "Genf", *cells[3:]])
    changed = table(path=write(tmp_path / "b.csv", HEADER, rows), target="kind", splitting=APART)
    assert data.train.fingerprint() == changed.train.fingerprint()
    assert data.fitted == changed.fitted
    assert data.test.fingerprint() != changed.test.fingerprint()


def test_fitted_treats_other_data_alike(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind")
    other = write(tmp_path / "b.csv", HEADER, ["7,40,Genf,m2,x,flat", "8,,Bern,m2,y,house"])
    again = table(path=other, target="kind", splitting=ALL_TEST, fitted=data.fitted)
    inputs = split(again, "test").inputs
    assert again.spec.feature_names == data.spec.feature_names
    assert inputs[0, 2:].tolist() == [0, 0, 0]
    assert inputs[1, 1:].tolist() == [1, 1, 0, 0]
    forty = split(data).inputs[(split(data).rows - 2) % 5 == 0][0, 0]
    assert inputs[0, 0] == forty


def test_fitted_refuses_an_unknown_label(tmp_path: Path) -> None:
    data = table(path=write(tmp_path / "a.csv", HEADER, flats()), target="kind")
    other = write(tmp_path / "b.csv", HEADER, ["7,40,Bern,m2,x,flats"])
    with pytest.raises(
        DataError, match=r"not in the training data: 'flats' \(1\), first in row 2\. Did you mean 'flat'"
    ):
        table(path=other, target="kind", fitted=data.fitted, splitting=ALL_TEST)


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
    again = table(path=str(tmp_path / "a.csv"), target="y", splitting=SplitSettings(seed=9), fitted=data.fitted)
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
        (
            {"target": "kind", "ignore": ["size", "town"], "splitting": APART},
            DataError,
            "no column to predict 'kind' from",
        ),
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
        splitting=APART,
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


# Files as people write them.


def test_forms_of_training_are_those_of_an_evaluation(tmp_path: Path) -> None:
    rows = [f"{i},5;{i % 28 + 1}/{i % 12 + 1}/2024;{'ab'[i % 2]};{i * 2},25 €" for i in range(60)]
    data = table(path=write(tmp_path / "a.csv", "size;day;kind;price", rows), target="price")
    assert data.fitted["columns"][0]["form"] == {"decimal": ",", "thousands": "", "symbol": ""}
    assert data.fitted["columns"][1]["order"] == "dmy"
    assert data.fitted["form"]["symbol"] == "€"
    first = rows[int(split(data).rows[0]) - 2]  # nothing in a single row tells a form
    path = write(tmp_path / "b.csv", "size;day;kind;price", [first])
    again = table(path=path, target="price", splitting=ALL_TEST, fitted=data.fitted)
    assert torch.equal(split(again, "test").inputs[0], split(data).inputs[0])
    assert torch.equal(again.test.targets[0], data.train.targets[0])


def test_a_file_without_a_header_line(tmp_path: Path) -> None:
    rows = [f"{i * i % 97},{i / 7},{'ab'[i % 2]}" for i in range(1, 60)]
    data = table(path=write(tmp_path / "a.csv", "0,0.5,a", rows), target="column 3")
    assert data.spec.feature_names == ("column 1", "column 2")
    assert data.fitted["header"] is False
    again = table(
        path=write(tmp_path / "b.csv", "7,0.5,a", []), target="column 3", splitting=ALL_TEST, fitted=data.fitted
    )
    assert len(again.test) == 1
    with pytest.raises(DataError, match=r"no column 'kind'.*dataset\.header=true"):
        table(path=str(tmp_path / "a.csv"), target="kind")


def test_a_rare_class_is_kept_in_training(tmp_path: Path) -> None:
    rows = [f"{i * i},{'crash' if i == 50 else 'rw'[i % 2]}" for i in range(200)]
    data = table(path=write(tmp_path / "a.csv", "x,y", rows), target="y")
    assert data.spec.class_names == ("crash", "r", "w")
    assert data.record["class_counts"]["crash"] == {"train": 1, "val": 0, "test": 0}
    assert any("all in training: 'crash' (1)" in note for note in data.notes)


def test_categories_that_training_never_saw_are_counted(tmp_path: Path) -> None:
    rows = [f"{i * i},{'abc'[i % 3]},{'yn'[i % 2]}" for i in range(60)]
    data = table(path=write(tmp_path / "a.csv", "x,brand,y", rows), target="y")
    new = write(tmp_path / "b.csv", "x,brand,y", ["1,a,y", "2,zeta,n", "3,zeta,n", "4,,y"])
    again = table(path=new, target="y", splitting=ALL_TEST, fitted=data.fitted)
    assert "these categories of 'brand': 'zeta' (2)" in again.notes[-1]
    assert "in 2 of 4 rows" in again.notes[-1]
    beside = table(path=str(tmp_path / "a.csv"), test_path=new, target="y")
    assert "'zeta' (2)" in beside.notes[-1]


def test_values_that_stand_for_missing_ones(tmp_path: Path) -> None:
    rows = [f"{-200 if i % 5 == 0 else i / 9},{'xyz'[i % 3]},{'yn'[i % 2]}" for i in range(100)]
    path = write(tmp_path / "a.csv", "co,t,y", rows)
    assert any("dataset.missing_values=[-200]" in note for note in table(path=path, target="y").notes)
    data = table(path=path, target="y", missing_values=["-200", "x"])
    assert data.spec.feature_names == ("co", "co missing", "t=y", "t=z", "t=(missing)")
    assert data.fitted["columns"][0]["min"] > 0
    new = write(tmp_path / "b.csv", "co,t,y", ["-200.0,x,y"])
    again = table(path=new, target="y", fitted=data.fitted, splitting=ALL_TEST)
    assert split(again, "test").inputs[0, 1:].tolist() == [1, 0, 0, 1]


def test_encodings_of_an_older_checkpoint(tmp_path: Path) -> None:
    older = {
        "columns": [
            {"name": "x", "kind": "numeric", "mean": 1.0, "std": 2.0, "median": 3.0, "missing": 1},
            {"name": "t", "kind": "categorical", "categories": ["a", "b"], "other": 1, "missing": 0},
        ],
        "task": "classification",
        "class_names": ["n", "y"],
    }
    data = table(
        path=write(tmp_path / "a.csv", "x,t,y", ["5,b,y", ",q,n"]), target="y", splitting=ALL_TEST, fitted=older
    )
    assert split(data, "test").inputs.tolist() == [[2, 0, 0, 1, 0], [1, 1, 0, 0, 1]]


def test_a_parquet_file_is_read_as_a_csv_file(tmp_path: Path) -> None:
    columns = {"x": [i * i / 7 for i in range(60)], "t": ["a", "b", None] * 20, "y": ["u", "v"] * 30}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    rows = [f"{x!r},{t or ''},{y}" for x, t, y in zip(*columns.values(), strict=True)]
    by_csv = table(path=write(tmp_path / "a.csv", "x,t,y", rows), target="y")
    by_parquet = table(path=str(tmp_path / "a.parquet"), target="y")
    assert by_parquet.fitted == by_csv.fitted
    assert by_parquet.train.fingerprint() == by_csv.train.fingerprint()
