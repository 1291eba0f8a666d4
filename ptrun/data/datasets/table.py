"""The `table` data set: any CSV file with a column to predict.

Everything that is learned from the data comes from the training rows. What was found and decided is in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.columns import ColumnSettings, binary_features, encode_columns, feature_names, fit_columns
from ptrun.data.features.labels import class_names, encode, fit_scaler, labelled, tidy_numbers
from ptrun.data.formats.csv_file import MISSING, CsvFile, numbers, numbers_or_none, read_csv
from ptrun.data.formats.paths import existing_file
from ptrun.data.partition import Indices, Parts, SplitSettings, record, shuffled, stratified
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

MAX_INTEGER_CLASSES = 20  # distinct integers in a target column up to which they are classes


@datasets.register
def table(
    *,
    path: str,
    target: str,
    fitted: Mapping[str, Any] | None = None,
    test_path: str | None = None,
    columns: Sequence[str] | None = None,
    task: str = "auto",
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    max_categories: int = 100,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """Rows of a CSV file as vectors; `features/columns.py` says how a column becomes numbers.

    With `test_path` the test rows are those of that file. A target of texts, or of at most 20 different integers,
    is a class; any other is a number, standardized with the training rows.
    Raises DataError naming row and column for cells that do not fit.
    """
    file, dropped = _read(path, target, columns, "dataset.path")
    test_file, test_dropped = _read(test_path, target, columns, "dataset.test_path") if test_path else (None, 0)
    _check_names(file, target, {"numeric": numeric, "categorical": categorical, "ignore": ignore})
    is_class = _is_classification(file, target, fitted["task"] if fitted else task)
    file, unlabelled = _labelled(file, target, fitted) if is_class else (file, [])
    test_file, more_unlabelled = _labelled(test_file, target, fitted) if is_class and test_file else (test_file, [])
    test_fraction = 0.0 if test_file else test_fraction
    splitting = SplitSettings(val_fraction, test_fraction, split_seed, evaluating=fitted is not None)
    parts, goal = (_divide_classes if is_class else _divide_numbers)(file, target, splitting, fitted)
    encodings, notes = _encodings(
        file, parts, goal, ColumnSettings(numeric, categorical, max_categories, ignore), fitted
    )
    notes += [*unlabelled, *more_unlabelled]
    if dropped + test_dropped:
        notes.append(f"Rows without a target, left out: {dropped + test_dropped}.")
    encoded = _split(file, encodings, goal)  # all rows at once, which are then divided
    train, val, test = (_rows_of(encoded, rows) for rows in (parts.train, parts.val, parts.test))
    if test_file:
        test = _split(test_file, encodings, goal)
    return Data(
        spec=_spec(encodings, goal),
        train=train,
        val=val,
        test=test,
        fitted={"columns": encodings, **goal.fitted()},
        notes=(goal.note(), *notes),
        record=_record({"train": train, "val": val, "test": test}, goal, split_seed),
    )


@dataclass(frozen=True)
class _Target:
    """The target column: class numbers where there are class names, else standardized numbers."""

    column: str
    class_names: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    def values(self, file: CsvFile) -> NDArray[Any]:
        """Targets of a file, int64 [N] or float32 [N, 1]."""
        if self.class_names:
            labels = tidy_numbers(file.columns[self.column])
            return encode(labels, self.class_names, f"{file.source}, column '{self.column}',", file.rows)
        values = numbers(file.columns[self.column], file.rows, file.source, self.column)
        return ((values[:, None] - self.mean) / self.std).astype(np.float32)

    def fitted(self) -> dict[str, Any]:
        """What an evaluation needs to know."""
        if self.class_names:
            return {"task": "classification", "class_names": list(self.class_names)}
        return {"task": "regression", "target_mean": self.mean, "target_std": self.std}

    def note(self) -> str:
        if self.class_names:
            return f"Target '{self.column}': one of {len(self.class_names)} classes."
        return f"Target '{self.column}': a number, training mean {self.mean:.4g}, standard deviation {self.std:.4g}."


def _divide_classes(
    file: CsvFile, column: str, splitting: SplitSettings, fitted: Mapping[str, Any] | None
) -> tuple[Parts, _Target]:
    if fitted:
        target = _Target(column, tuple(fitted["class_names"]))
    else:
        labels = tidy_numbers(file.columns[column])
        target = _Target(column, class_names(labels, f"{file.source}, column '{column}',"))
    return stratified(target.values(file), target.class_names, splitting), target


def _divide_numbers(
    file: CsvFile, column: str, splitting: SplitSettings, fitted: Mapping[str, Any] | None
) -> tuple[Parts, _Target]:
    parts = shuffled(len(file), splitting)
    if fitted:
        return parts, _Target(column, mean=fitted["target_mean"], std=fitted["target_std"])
    values = numbers(file.columns[column], file.rows, file.source, column)
    mean, std = fit_scaler(values[parts.train])
    return parts, _Target(column, mean=float(mean), std=float(std))


def _encodings(
    file: CsvFile, parts: Parts, target: _Target, settings: ColumnSettings, fitted: Mapping[str, Any] | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """How each input column becomes numbers, and notes about that. Raises DataError when there is no input column."""
    if fitted:
        encodings, notes = list(fitted["columns"]), list[str]()
    else:
        inputs = [name for name in file.columns if name != target.column and name not in settings.ignore]
        encodings, notes = fit_columns(file, inputs, parts.train, settings)
    if not encodings:
        raise DataError(f"{file.source} has no column to predict '{target.column}' from. {' '.join(notes)}")
    return encodings, notes


def _spec(encodings: Sequence[Mapping[str, Any]], target: _Target) -> DataSpec:
    names, groups = feature_names(encodings)
    is_class = bool(target.class_names)
    return DataSpec(
        layout=Layout.VECTOR,
        task=Task.CLASSIFICATION if is_class else Task.REGRESSION,
        input_shape=(len(names),),
        num_outputs=len(target.class_names) or 1,
        class_names=target.class_names,
        target_names=() if is_class else (target.column,),
        target_mean=() if is_class else (target.mean,),
        target_std=() if is_class else (target.std,),
        feature_names=names,
        feature_groups=groups,
        binary_features=binary_features(encodings),
    )


def _record(splits: Mapping[str, TensorSplit], target: _Target, split_seed: int) -> dict[str, Any]:
    by_part = [
        (part, split.rows.numpy(), split.targets.numpy() if target.class_names else None)
        for part, split in splits.items()
    ]
    return record("stratified" if target.class_names else "shuffled", by_part, target.class_names, split_seed)


def _read(path: str, target: str, columns: Sequence[str] | None, setting: str) -> tuple[CsvFile, int]:
    """The rows of a file that have a target, and the number of those that have none."""
    file = read_csv(existing_file(path, setting), columns)
    cells = file.column(target, "dataset.target")
    values = numbers_or_none(cells)
    present = np.array([cell not in MISSING for cell in cells]) if values is None else ~np.isnan(values)
    if not present.any():
        raise DataError(f"{file.source}: column '{target}' (dataset.target) has no value in any row.")
    dropped = int((~present).sum())
    return (file.take(np.flatnonzero(present).tolist()) if dropped else file), dropped


def _labelled(file: CsvFile, target: str, fitted: Mapping[str, Any] | None) -> tuple[CsvFile, list[str]]:
    """The rows whose target is a class, and a note on the others."""
    kept, notes = labelled(file.columns[target], fitted["class_names"] if fitted else ())
    return (file.take(kept) if notes else file), notes


def _check_names(file: CsvFile, target: str, lists: Mapping[str, Sequence[str]]) -> None:
    for setting, names in lists.items():
        for name in names:
            file.column(name, f"dataset.{setting}")
            if name == target:
                raise ConfigError(
                    f"dataset.{setting}: '{target}' is the target and can't be an input column. Remove it there."
                )


def _is_classification(file: CsvFile, target: str, task: str) -> bool:
    """Whether the target is a class; for "auto", texts and few different integers are."""
    if task not in ("auto", "classification", "regression"):
        raise ConfigError(f"dataset.task is '{task}'; it can be auto, classification or regression.")
    if task != "auto":
        return task == "classification"
    values = numbers_or_none(file.columns[target])
    if values is None:
        return True
    distinct = len(np.unique(values))
    return bool(np.all(values == np.rint(values))) and distinct <= MAX_INTEGER_CLASSES and 3 * distinct <= len(values)


def _split(file: CsvFile, encodings: Sequence[Mapping[str, Any]], target: _Target) -> TensorSplit:
    """All rows of a file."""
    inputs = torch.from_numpy(encode_columns(file, encodings, file.source))
    return TensorSplit(inputs, torch.from_numpy(target.values(file)), torch.tensor(file.rows, dtype=torch.int64))


def _rows_of(split: TensorSplit, positions: Indices) -> TensorSplit:
    chosen = torch.from_numpy(positions)
    return TensorSplit(*(tensor.index_select(0, chosen) for tensor in (split.inputs, split.targets, split.rows)))
