"""The `table` data set: any CSV or Parquet file with a column to predict.

Everything that is learned from the data comes from the training rows. What was found and decided is in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ptrun.data.dataset import Data
from ptrun.data.division import divide, find_split_column
from ptrun.data.features import target as targets
from ptrun.data.features.columns import (
    binary_features,
    encode_columns,
    feature_names,
    fit_columns,
    unknown_categories,
)
from ptrun.data.features.kinds import ColumnKind, ColumnSettings, decide_kinds, is_id_name
from ptrun.data.features.labels import labelled
from ptrun.data.features.row_samples import columns_of_split, identity_columns, possible_groups, row_samples
from ptrun.data.features.suspicions import suspicions
from ptrun.data.features.target import Target
from ptrun.data.formats.csv_dialect import Header, header_setting
from ptrun.data.formats.csv_file import CsvFile, read_csv
from ptrun.data.formats.paths import existing_file
from ptrun.data.partition import Indices, Parts, record
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task


@datasets.register
def table(
    *,
    path: str,
    target: str,
    fitted: Mapping[str, Any] | None = None,
    test_path: str | None = None,
    columns: Sequence[str] | None = None,
    header: Header = "auto",
    delimiter: str = "auto",
    task: str = "auto",
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    dates: Sequence[str] | None = None,
    date_order: str = "auto",
    decimal: str = "auto",
    missing_values: Sequence[str] | None = None,
    max_categories: int = 100,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """Rows of a CSV file as vectors; `features/kinds.py` says what a column is, `columns.py` how it becomes numbers.

    With `test_path` the test rows are those of that file. A target of texts, or of at most 20 different integers,
    is a class; any other is a number, standardized with the training rows.
    Raises DataError naming row and column for cells that do not fit.
    """
    texts = {target, *categorical, *(dates or ()), *_read_as_texts(fitted)}
    reading = _Reading(columns, header_setting(header, fitted), delimiter, frozenset(texts))
    file = reading.read(path, "dataset.path")
    splitting = find_split_column({} if test_path else file.columns, splitting)
    ignore = [*ignore, *columns_of_split(file, splitting, (target, *ignore))]
    settings = ColumnSettings(
        numeric, categorical, max_categories, ignore, dates or (), missing_values or (), decimal, date_order, target
    )
    kinds, goal = _decide(file, settings, task, fitted)
    file, dropped = _with_target(file, goal)
    other, other_dropped = _with_target(reading.read(test_path, "dataset.test_path"), goal) if test_path else (None, [])
    identity = identity_columns(file, kinds) if fitted is None else fitted.get("identity", ())
    parts = divide(row_samples(file, other, goal, settings, identity), splitting)
    if not fitted and not goal.class_names:
        goal = targets.scaled(goal, file, parts.train)
    encodings, notes = _encodings(file, parts, goal, settings, kinds, fitted)
    data = _data(file, other, parts, goal, encodings, splitting)
    if not fitted:
        notes += possible_groups(file, kinds, splitting)
        notes += suspicions(file, encodings, parts.train, target, goal.values(file))
    learned = {"columns": encodings, **goal.fitted(), "identity": list(identity), **_without_header(file, columns)}
    said = (*goal.notes(), *parts.notes, *notes)
    return replace(data, fitted=learned, notes=(*file.notes, *dropped, *other_dropped, *said, *data.notes))


def _without_header(file: CsvFile, columns: Sequence[str] | None) -> dict[str, Any]:
    """What new files need to know of one without a header line: that, and how many columns it had."""
    return {} if file.has_header or columns else {"header": False, "num_columns": len(file.columns)}


def _data(
    file: CsvFile,
    other: CsvFile | None,
    parts: Parts,
    goal: Target,
    encodings: list[dict[str, Any]],
    splitting: SplitSettings,
) -> Data:
    """The samples of each part; those of test come from another file if there is one."""
    encoded = _split(file, encodings, goal)  # all rows at once, which are then divided
    splits = {part: _rows_of(encoded, getattr(parts, part)) for part in ("train", "val", "test")}
    if other:
        splits["test"] = _split(other, encodings, goal)
    return Data(
        spec=_spec(encodings, goal),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        notes=tuple(_notes_on_unknown(other, encodings)) if other else (),
        record=_record(parts, splits, goal, splitting),
    )


@dataclass(frozen=True)
class _Reading:
    """How the files of a table are read. texts: columns whose texts matter, even if they are numbers."""

    columns: Sequence[str] | None
    header: Header
    delimiter: str
    texts: frozenset[str]

    def read(self, path: str, setting: str) -> CsvFile:
        file = existing_file(path, setting)
        return read_csv(file, self.columns, header=self.header, delimiter=self.delimiter, is_text=self._is_text)

    def _is_text(self, name: str) -> bool:
        return name in self.texts or is_id_name(name)


def _read_as_texts(fitted: Mapping[str, Any] | None) -> list[str]:
    """The columns that a trained model does not read as plain numbers."""
    encodings = fitted["columns"] if fitted else ()
    return [encoding["name"] for encoding in encodings if encoding["kind"] != "numeric" or "form" in encoding]


def _decide(
    file: CsvFile, settings: ColumnSettings, task: str, fitted: Mapping[str, Any] | None
) -> tuple[list[ColumnKind], Target]:
    """What each input column is, and the target."""
    file.column(settings.target, "dataset.target")
    _check_names(file, settings)
    if fitted:
        return [], targets.restored(settings.target, fitted, settings.missing_values)
    decided = settings
    if task == "classification":
        decided = replace(settings, categorical=[*settings.categorical, settings.target])
    if task == "regression":
        decided = replace(settings, numeric=[*settings.numeric, settings.target])
    names = [name for name in file.columns if name not in settings.ignore or name == settings.target]
    kinds = {kind.name: kind for kind in decide_kinds(file, names, decided)}
    goal = targets.find_target(file, kinds[settings.target], list(kinds.values()), task, settings.missing_values)
    return [kind for kind in kinds.values() if kind.name != settings.target], goal


def _with_target(file: CsvFile, goal: Target) -> tuple[CsvFile, list[str]]:
    """The rows that have a target, and notes on those that have none."""
    file.column(goal.column, "dataset.target")
    rows = targets.rows_with(file, goal)
    notes = []
    if dropped := len(file) - len(rows):
        notes, file = [f"Rows without a target, left out: {dropped}."], file.take(rows)
    if not goal.class_names:
        return file, notes
    kept, unlabelled = labelled(file[goal.column].texts(), goal.class_names)
    return (file.take(kept) if unlabelled else file), [*notes, *unlabelled]


def _encodings(
    file: CsvFile,
    parts: Parts,
    goal: Target,
    settings: ColumnSettings,
    kinds: Sequence[ColumnKind],
    fitted: Mapping[str, Any] | None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """How each input column becomes numbers, and notes about that. Raises DataError when there is no input column."""
    if fitted:
        encodings = list(fitted["columns"])
        notes = _notes_on_unknown(file, encodings)
    else:
        encodings, notes = fit_columns(file, [kind.name for kind in kinds], parts.train, settings, kinds)
    if not encodings:
        raise DataError(f"{file.source} has no column to predict '{goal.column}' from. {' '.join(notes)}")
    return encodings, notes


def _notes_on_unknown(file: CsvFile, encodings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which categories of a file training never saw."""
    notes = []
    for name, counts in unknown_categories(file, encodings).items():
        texts = join_words([f"'{text}' ({count})" for text, count in counts.most_common()], 5)
        notes.append(
            f"Training never saw these categories of '{name}': {texts}. To the model, this column is all zeros in "
            f"{counts.total()} of {len(file)} rows of {file.source}."
        )
    return notes


def _spec(encodings: Sequence[Mapping[str, Any]], target: Target) -> DataSpec:
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


def _record(
    parts: Parts, splits: Mapping[str, TensorSplit], target: Target, splitting: SplitSettings
) -> dict[str, Any]:
    by_part = [
        (part, split.rows.numpy(), split.targets.numpy() if target.class_names else None)
        for part, split in splits.items()
    ]
    return record(parts, by_part, target.class_names, splitting)


def _check_names(file: CsvFile, settings: ColumnSettings) -> None:
    lists = {
        "numeric": settings.numeric,
        "categorical": settings.categorical,
        "dates": settings.dates,
        "ignore": settings.ignore,
    }
    for setting, names in lists.items():
        for name in names:
            file.column(name, f"dataset.{setting}")
            if name == settings.target:
                raise ConfigError(
                    f"dataset.{setting}: '{name}' is the target and can't be an input column. Remove it there."
                )


def _split(file: CsvFile, encodings: Sequence[Mapping[str, Any]], target: Target) -> TensorSplit:
    """All rows of a file."""
    inputs = torch.from_numpy(encode_columns(file, encodings, file.source))
    return TensorSplit(inputs, torch.from_numpy(target.values(file)), torch.from_numpy(np.asarray(file.rows, np.int64)))


def _rows_of(split: TensorSplit, positions: Indices) -> TensorSplit:
    chosen = torch.from_numpy(positions)
    return TensorSplit(*(tensor.index_select(0, chosen) for tensor in (split.inputs, split.targets, split.rows)))
