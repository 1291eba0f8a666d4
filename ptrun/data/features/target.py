"""The column of a table that is to be predicted: a class or a number, and which rows have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.kinds import ColumnKind, read_numbers
from ptrun.data.features.labels import (
    class_counts_text,
    class_names,
    class_variants,
    encode,
    fit_scaler,
    labelled,
    tidy_numbers,
)
from ptrun.data.formats.column import MISSING
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.number_form import PLAIN, NumberForm, form_of
from ptrun.data.partition import Indices
from ptrun.errors import ConfigError, DataError

MAX_INTEGER_CLASSES = 20  # distinct integers in a target column up to which they are classes
NAMES_TOO = frozenset({"NA", "N/A", "n/a", "None", "null", "NULL"})  # of MISSING, those that may be names of classes


@dataclass(frozen=True)
class Target:
    """The target column: class numbers where there are class names, else standardized numbers.

    missing: texts that stand for no target. form: how its numbers are written.
    """

    column: str
    missing: frozenset[str]
    form: NumberForm = PLAIN
    class_names: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    counts: Counter[str] = field(default_factory=Counter)

    def values(self, file: CsvFile) -> NDArray[Any]:
        """Targets of a file, int64 [N] or float32 [N, 1]."""
        if self.class_names:
            labels = tidy_numbers(file[self.column].texts(), self.class_names)
            return encode(labels, self.class_names, f"{file.source}, column '{self.column}',", file.rows)
        values = read_numbers(file, self.column, self.form)
        return ((values[:, None] - self.mean) / self.std).astype(np.float32)

    def fitted(self) -> dict[str, Any]:
        """What an evaluation needs to know."""
        if self.class_names:
            return {"task": "classification", "class_names": list(self.class_names)}
        fitted: dict[str, Any] = {"task": "regression", "target_mean": self.mean, "target_std": self.std}
        return fitted if self.form == PLAIN else {**fitted, "form": self.form.to_dict()}

    def notes(self) -> list[str]:
        """What was found."""
        if not self.class_names:
            form = "" if self.form == PLAIN else f" (written with {self.form.describe()})"
            text = f"a number{form}, training mean {self.mean:.4g}, standard deviation {self.std:.4g}"
            return [f"Target '{self.column}': {text}."]
        counts = f": {class_counts_text(self.counts, self.class_names)}" if self.counts else ""
        notes = [f"Target '{self.column}': one of {len(self.class_names)} classes{counts}."]
        if words := ",".join(name for name in self.class_names if name in NAMES_TOO):
            notes.append(
                f"Cells with {words} in '{self.column}' are a class of that name. If they stand for missing values, "
                f"set dataset.missing_values=[{words}]."
            )
        return [*notes, *class_variants(self.counts)]


def restored(column: str, fitted: Mapping[str, Any], missing_values: Sequence[str]) -> Target:
    """The target of a trained model. A word such as NA is a class if the model has such a class."""
    names = tuple(fitted.get("class_names", ()))
    missing = frozenset({*MISSING, *missing_values} - set(names))
    if names:
        return Target(column, missing, class_names=names)
    return Target(column, missing, form_of(fitted), mean=fitted["target_mean"], std=fitted["target_std"])


def find_target(
    file: CsvFile, kind: ColumnKind, kinds: Sequence[ColumnKind], task: str, missing: Sequence[str]
) -> Target:
    """The target that a file holds, before its numbers are scaled. Raises DataError or ConfigError."""
    if kind.kind == "date":
        raise DataError(
            f"{file.source}: column '{kind.name}' (dataset.target) holds dates, which can't be predicted. "
            "Write them as numbers, such as days since a date, or choose another target."
        )
    markers = frozenset({*MISSING, *missing})
    if _is_classification(file, kind, task, markers):
        if file[kind.name].floats is None:
            markers -= _names_among(file, kind.name, kinds) - set(missing)
        cells = [cell for cell in file[kind.name] if cell not in markers]
        labels = tidy_numbers(cells)
        labels = [labels[i] for i in labelled(labels)[0]]
        counts = Counter(labels)
        _require_value(labels, file, kind.name)
        names = class_names(counts, f"{file.source}, column '{kind.name}',")
        return Target(kind.name, markers, class_names=names, counts=counts)
    return Target(kind.name, markers, kind.form)


def rows_with(file: CsvFile, target: Target) -> Indices:
    """Positions of the rows that have a target. Raises DataError when there is none."""
    if target.class_names:
        texts, codes = file[target.column].distinct
        present = ~np.array([text in target.missing for text in texts], bool)[codes]
        floats = file[target.column].floats
        present &= True if floats is None else ~np.isnan(floats)
    else:
        present = ~np.isnan(read_numbers(file, target.column, target.form, sorted(target.missing)))
    _require_value(np.flatnonzero(present), file, target.column)
    return np.flatnonzero(present)


def scaled(target: Target, file: CsvFile, train: Indices) -> Target:
    """The target with mean and standard deviation of the training rows."""
    mean, std = fit_scaler(read_numbers(file, target.column, target.form)[train])
    return Target(target.column, target.missing, target.form, mean=float(mean), std=float(std))


def _require_value(present: Any, file: CsvFile, column: str) -> None:
    if not len(present):
        raise DataError(f"{file.source}: column '{column}' (dataset.target) has no value in any row.")


def _names_among(file: CsvFile, name: str, kinds: Sequence[ColumnKind]) -> set[str]:
    """Words such as NA that are classes here: those that no column of numbers has for its missing cells."""
    numeric = [kind.name for kind in kinds if kind.kind in ("number", "date") and kind.name != name]
    words = {text for text in file[name].distinct[0] if text in NAMES_TOO}
    return {word for word in words if not any(word in file[other].counts for other in numeric)} if words else set()


def _is_classification(file: CsvFile, kind: ColumnKind, task: str, missing: frozenset[str]) -> bool:
    """Whether the target is a class; for "auto", texts and few different integers are."""
    if task not in ("auto", "classification", "regression"):
        raise ConfigError(f"dataset.task is '{task}'; it can be auto, classification or regression.")
    if task != "auto":
        return task == "classification"
    if kind.kind == "category" or (kind.kind == "index" and file[kind.name].floats is None):
        return True
    values = read_numbers(file, kind.name, kind.form, sorted(missing))
    values = values[~np.isnan(values)]
    _require_value(values, file, kind.name)
    distinct = len(np.unique(values))
    return bool(np.all(values == np.rint(values))) and distinct <= MAX_INTEGER_CLASSES and 3 * distinct <= len(values)
