"""The target is a class or a number by its cells, and words such as NA are classes where they are names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ptrun.data.features import target
from ptrun.data.features.kinds import ColumnSettings, decide_kinds
from ptrun.data.features.target import Target
from ptrun.data.formats.csv_file import CsvFile
from ptrun.errors import ConfigError, DataError


def csv(cells: list[str], **others: list[str]) -> CsvFile:
    return CsvFile("a.csv", {"y": cells, **others}, list(range(2, 2 + len(cells))))


def found(file: CsvFile, task: str = "auto", missing: Sequence[str] = ()) -> Target:
    kinds = decide_kinds(file, list(file.columns), ColumnSettings(missing_values=missing, target="y"))
    return target.find_target(file, kinds[0], kinds, task, missing)


def test_classes_with_their_counts() -> None:
    goal = found(csv(["b", "a", "", "b"]))
    assert goal.class_names == ("a", "b")
    assert goal.notes() == ["Target 'y': one of 2 classes: a (1), b (2)."]
    assert target.rows_with(csv(["b", "a", "", "b"]), goal).tolist() == [0, 1, 3]


def test_a_word_for_missing_is_a_class_unless_the_file_uses_it_for_missing_numbers() -> None:
    cells = ["BW", "NA", "ZA", "NA", ""]
    goal = found(csv(cells))
    assert goal.class_names == ("BW", "NA", "ZA")
    assert "set dataset.missing_values=[NA]" in goal.notes()[1]
    assert target.rows_with(csv(cells), goal).tolist() == [0, 1, 2, 3]
    assert found(csv(cells), missing=["NA"]).class_names == ("BW", "ZA")
    assert found(csv(cells, x=["1", "2", "NA", "4", "5"])).class_names == ("BW", "ZA")
    assert found(csv(["0", "1", "NA", "1", "0", "1", "1"])).class_names == ("0", "1")


def test_a_trained_model_keeps_its_classes() -> None:
    file = csv(["BW", "NA"])
    assert target.rows_with(file, target.restored("y", {"class_names": ["BW", "NA"]}, ())).tolist() == [0, 1]
    assert target.rows_with(file, target.restored("y", {"class_names": ["BW", "ZA"]}, ())).tolist() == [0]


def test_long_integers_are_classes_with_every_digit() -> None:
    names = tuple(str(2**62 + i) for i in range(3))
    assert found(csv([*names, *names])).class_names == names


@pytest.mark.parametrize(("distinct", "is_class"), [(20, True), (21, False)])
def test_few_different_integers_are_classes(distinct: int, is_class: bool) -> None:
    cells = [str(i * i) for i in range(distinct)] * 3
    assert bool(found(csv(cells)).class_names) == is_class
    assert not found(csv(cells[:-1])).class_names, "less than three rows of each"


def test_variants_of_a_class_are_told() -> None:
    notes = found(csv(["Yes", "yes", "no", "No", "no"])).notes()
    assert "'Yes' (1) and 'yes' (1), 'no' (2) and 'No' (1)" in notes[1]


def test_numbers_in_the_form_in_which_they_are_written() -> None:
    file = csv(["1,5 €", "2,5 €", "", "6,5 €"])
    goal = target.scaled(found(file), file.take([0, 1, 3]), np.array([0, 1]))
    assert (goal.mean, goal.std) == (2.0, 0.5)
    assert target.rows_with(file, goal).tolist() == [0, 1, 3]
    again = target.restored("y", goal.fitted(), ())
    assert again.values(csv(["3,5 €"])).tolist() == [[3.0]]
    assert "a decimal comma and a sign (€)" in goal.notes()[0]


def test_what_is_no_target() -> None:
    with pytest.raises(DataError, match="holds dates, which can't be predicted"):
        found(csv(["2024-01-01", "2024-01-02"]))
    with pytest.raises(DataError, match="has no value in any row"):
        found(csv(["", "NA"]))
    with pytest.raises(ConfigError, match="auto, classification or regression"):
        found(csv(["1", "2"]), "ranking")
    stray = [str(i * i) for i in range(29)]
    with pytest.raises(DataError, match=r"'x' is not a number.*or set dataset\.task=classification"):
        found(csv([*stray, "x"]))
