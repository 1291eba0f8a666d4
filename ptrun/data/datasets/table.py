"""The `table` data set: any CSV file with a column to predict.

Invariant: every statistic comes from the training rows; all that was decided by itself is told in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.columns import binary_features, encode_columns, feature_names, fit_columns
from ptrun.data.features.labels import class_names, encode, fit_scaler, tidy_numbers
from ptrun.data.formats.csv_file import MISSING, CsvFile, numbers, numbers_or_none, read_csv
from ptrun.data.formats.paths import existing_file
from ptrun.data.partition import Parts, record, shuffled, stratified
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task

MOST_INTEGER_CLASSES = 20


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
    """Rows of a CSV file as vectors; see `ptrun.data.columns` for how a column becomes numbers.

    With `test_path` the test rows are those of that file. A target of texts, or of at most 20 different integers,
    is a class; any other is a number, standardised with the training rows.
    Raises DataError naming row and column for cells that do not fit.
    """
    file, dropped = _read(path, target, columns, "dataset.path")
    test_file, test_dropped = _read(test_path, target, columns, "dataset.test_path") if test_path else (None, 0)
    _check_names(file, target, {"numeric": numeric, "categorical": categorical, "ignore": ignore})
    classify = _is_classification(file, target, fitted["task"] if fitted else task)
    goal = _Goal(file, target, fitted, classify)
    parts = goal.cut(0.0 if test_file else test_fraction, val_fraction, split_seed)
    if fitted:
        encodings, notes = list(fitted["columns"]), list[str]()
    else:
        inputs = [name for name in file.columns if name != target and name not in ignore]
        encodings, notes = fit_columns(
            file, inputs, parts.train, numeric=numeric, categorical=categorical, max_categories=max_categories
        )
    if not encodings:
        raise DataError(f"{file.source} has no column to predict '{target}' from. {' '.join(notes)}")
    if dropped + test_dropped:
        notes.append(f"Rows without a target, left out: {dropped + test_dropped}.")
    whole = _split(file, encodings, goal)  # encoded once, then cut
    train, val, test = (_rows_of(whole, rows) for rows in (parts.train, parts.val, parts.test))
    if test_file:
        test = _split(test_file, encodings, goal)
    return Data(
        spec=goal.spec(encodings),
        train=train,
        val=val,
        test=test,
        fitted={"columns": encodings, **goal.fitted()},
        notes=(goal.note(), *notes),
        record=goal.record({"train": train, "val": val, "test": test}, split_seed),
    )


class _Goal:
    """The target column: as class numbers, or as standardised numbers once `cut` has chosen the training rows."""

    def __init__(self, file: CsvFile, column: str, fitted: Mapping[str, Any] | None, classify: bool) -> None:
        self.column, self.classify, self.known = column, classify, fitted
        self.names: tuple[str, ...] = ()
        self.mean, self.std = 0.0, 1.0
        self.file = file
        if classify:
            labels = tidy_numbers(file.columns[column])
            where = f"{file.source}, column '{column}',"
            self.names = tuple(fitted["class_names"]) if fitted else class_names(labels, where)
            self.codes = self.targets(file)

    def cut(self, test_fraction: float, val_fraction: float, split_seed: int) -> Parts:
        cut: dict[str, Any] = {"val_fraction": val_fraction, "test_fraction": test_fraction, "split_seed": split_seed}
        if self.classify:
            return stratified(self.codes, self.names, **cut, evaluating=self.known is not None)
        parts = shuffled(len(self.file), **cut, evaluating=self.known is not None)
        if self.known:
            self.mean, self.std = self.known["target_mean"], self.known["target_std"]
        else:
            mean, std = fit_scaler(self._values(self.file)[parts.train])
            self.mean, self.std = float(mean), float(std)
        return parts

    def targets(self, file: CsvFile) -> NDArray[Any]:
        if self.classify:
            labels = tidy_numbers(file.columns[self.column])
            return encode(labels, self.names, f"{file.source}, column '{self.column}',", file.rows)
        return ((self._values(file)[:, None] - self.mean) / self.std).astype(np.float32)

    def spec(self, encodings: Sequence[Mapping[str, Any]]) -> DataSpec:
        names, groups = feature_names(encodings)
        regression = () if self.classify else (1.0,)
        return DataSpec(
            layout=Layout.VECTOR,
            task=Task.CLASSIFICATION if self.classify else Task.REGRESSION,
            input_shape=(len(names),),
            num_outputs=len(self.names) or 1,
            class_names=self.names,
            target_names=() if self.classify else (self.column,),
            target_mean=tuple(self.mean * one for one in regression),
            target_std=tuple(self.std * one for one in regression),
            feature_names=names,
            feature_groups=groups,
            binary_features=binary_features(encodings),
        )

    def fitted(self) -> dict[str, Any]:
        if self.classify:
            return {"task": "classification", "class_names": list(self.names)}
        return {"task": "regression", "target_mean": self.mean, "target_std": self.std}

    def record(self, splits: Mapping[str, TensorSplit], split_seed: int) -> dict[str, Any]:
        told = [
            (part, split.rows.numpy(), split.targets.numpy() if self.classify else None)
            for part, split in splits.items()
        ]
        return record("stratified" if self.classify else "shuffled", told, self.names, split_seed)

    def note(self) -> str:
        if self.classify:
            return f"Target '{self.column}': one of {len(self.names)} classes."
        return f"Target '{self.column}': a number, training mean {self.mean:.4g}, standard deviation {self.std:.4g}."

    def _values(self, file: CsvFile) -> NDArray[np.float64]:
        return numbers(file.columns[self.column], file.rows, file.source, self.column)


def _read(path: str, target: str, columns: Sequence[str] | None, setting: str) -> tuple[CsvFile, int]:
    file = read_csv(existing_file(path, setting), columns)
    cells = file.column(target, "dataset.target")
    values = numbers_or_none(cells)
    present = np.array([cell not in MISSING for cell in cells]) if values is None else ~np.isnan(values)
    if not present.any():
        raise DataError(f"{file.source}: column '{target}' (dataset.target) has no value in any row.")
    dropped = int((~present).sum())
    return (file.take(np.flatnonzero(present).tolist()) if dropped else file), dropped


def _check_names(file: CsvFile, target: str, lists: Mapping[str, Sequence[str]]) -> None:
    for setting, names in lists.items():
        for name in names:
            file.column(name, f"dataset.{setting}")
            if name == target:
                raise ConfigError(
                    f"dataset.{setting}: '{target}' is the target and can't be an input column. Remove it there."
                )


def _is_classification(file: CsvFile, target: str, task: str) -> bool:
    if task not in ("auto", "classification", "regression"):
        raise ConfigError(f"dataset.task is '{task}'; it can be auto, classification or regression.")
    if task != "auto":
        return task == "classification"
    values = numbers_or_none(file.columns[target])
    if values is None:
        return True
    distinct = len(np.unique(values))
    return bool(np.all(values == np.rint(values))) and distinct <= MOST_INTEGER_CLASSES and 3 * distinct <= len(values)


def _split(file: CsvFile, encodings: Sequence[Mapping[str, Any]], goal: _Goal) -> TensorSplit:
    features = encode_columns(file, encodings, file.source)
    return TensorSplit(
        torch.from_numpy(features), torch.from_numpy(goal.targets(file)), torch.tensor(file.rows, dtype=torch.int64)
    )


def _rows_of(split: TensorSplit, rows: NDArray[np.int64]) -> TensorSplit:
    chosen = torch.from_numpy(np.asarray(rows, np.int64))
    return TensorSplit(*(each.index_select(0, chosen) for each in (split.inputs, split.targets, split.rows)))
