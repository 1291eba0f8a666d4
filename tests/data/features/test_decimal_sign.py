"""New files for a trained model may have the other decimal sign: said by a setting, or not needed for real numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, train

import ptrun as package
from ptrun.data.features.decimal_sign import decimal_sign, written_with
from ptrun.errors import ConfigError

Call = Callable[..., Ended]
ROWS = [(i / 8, (i * 7 % 40) / 4, f"{i / 8 - i % 5:.3f}") for i in range(1, 81)]
RUN = ("dataset=table", "dataset.target=z", "model=simplenet", "train.max_steps=3", "device.threads=1")


def write(path: Path, sign: str, delimiter: str) -> Path:
    """Columns x, y and z."""
    lines = [delimiter.join(map(str, row)).replace(".", sign) for row in ROWS]
    path.write_text("\n".join([delimiter.join("xyz"), *lines]) + "\n")
    return path


def predictions(path: Path) -> list[str]:
    """The last column of a file of predictions."""
    with path.open(newline="") as file:
        return [row[-1] for row in csv.reader(file)]


@pytest.mark.parametrize(("sign", "other", "name"), [(".", ",", "comma"), (",", ".", "point")])
def test_predict_and_eval_read_the_notation_that_the_user_names(
    ptrun: Call, folder: Path, sign: str, other: str, name: str
):
    trained, new = write(folder / "trained.csv", sign, ";"), write(folder / "new.csv", other, ";")
    run = str(train(*RUN, f"dataset.path={trained}", quiet=True).run_dir)
    ended = ptrun("predict", run, str(new), "output=refused.csv")
    assert ended.code == 3
    assert f"set dataset.decimal={name}." in ended.out
    for path, more, output in ((trained, (), "a.csv"), (new, (f"dataset.decimal={name}",), "b.csv")):
        assert ptrun("predict", run, str(path), *more, f"output={output}").code == 0
    assert predictions(folder / "a.csv") == predictions(folder / "b.csv")
    results = [
        package.eval(run, f"dataset.path={path}", *more, quiet=True).document
        for path, more in ((trained, ()), (new, (f"dataset.decimal='{other}'",)))
    ]
    assert results[0]["metrics"] == results[1]["metrics"]


def test_numbers_that_are_no_texts_need_no_setting(folder: Path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    run = str(train(*RUN, f"dataset.path={write(folder / 'commas.csv', ',', ';')}", quiet=True).run_dir)
    columns = {"x": [x for x, _, _ in ROWS], "y": [y for _, y, _ in ROWS], "z": [float(z) for _, _, z in ROWS]}
    parquet.write_table(pyarrow.table(columns), "new.parquet")
    model = package.load(run)
    expected = [p.values for p in model.predict("commas.csv")]
    assert [p.values for p in model.predict("new.parquet")] == expected
    assert [p.values for p in model.predict({"x": columns["x"], "y": columns["y"]})] == expected
    assert model.predict({"x": ["0,125"], "y": ["1,75"]})[0].values == pytest.approx(expected[0])
    assert package.eval(run, "dataset.path=new.parquet", quiet=True).document["num_samples"] == len(ROWS)


def test_a_series_and_signs_between_thousands():
    series = {"columns": ["a", "b"], "forms": {"b": {"decimal": ",", "thousands": ".", "symbol": "€"}}}
    assert written_with(series, "auto") == series
    plain = {"decimal": ".", "thousands": "", "symbol": ""}
    assert written_with(series, "point")["forms"] == {"a": plain, "b": {**plain, "thousands": ",", "symbol": "€"}}
    assert written_with(written_with(series, "."), "comma")["forms"]["b"] == series["forms"]["b"]  # type: ignore[index]
    category, number = {"name": "a", "kind": "categorical"}, {"name": "b", "kind": "numeric"}
    table = {"columns": [category, number], "target_mean": 1.0}
    comma = {"decimal": ",", "thousands": "", "symbol": ""}
    changed = written_with(table, ",")
    assert changed == {"columns": [category, {**number, "form": comma}], "target_mean": 1.0, "form": comma}
    assert written_with(changed, ".") == table


def test_another_sign_is_refused():
    assert [decimal_sign(text) for text in ("auto", "point", "comma", ".", ",")] == ["", ".", ",", ".", ","]
    with pytest.raises(ConfigError, match=r"dataset\.decimal is 'semicolon'; it can be auto, point or comma"):
        decimal_sign("semicolon")
