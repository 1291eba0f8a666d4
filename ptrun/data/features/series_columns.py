"""The columns of a series: which ones are read, how their numbers are written, and how gaps in them are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.data.features.kinds import TOO_LONG, ColumnKind, ColumnSettings, decide_kinds, read_numbers
from ptrun.data.formats.column import MISSING, is_number
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.number_form import PLAIN, NumberForm
from ptrun.errors import ConfigError, DataError, join_words
from ptrun.rng import Floats

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class SeriesColumns:
    """The columns to read, those to forecast, the forms of numbers that are not plain, and notes on the others."""

    names: tuple[str, ...]
    targets: tuple[str, ...]
    forms: Mapping[str, NumberForm]
    notes: tuple[str, ...] = ()

    def fitted(self) -> dict[str, Any]:
        """What an evaluation needs to know."""
        forms = {"forms": {name: form.to_dict() for name, form in self.forms.items()}} if self.forms else {}
        return {"columns": list(self.names), "targets": list(self.targets), **forms}


def choose_columns(
    file: CsvFile,
    columns: str | Sequence[str],
    targets: str | Sequence[str],
    settings: ColumnSettings,
    excluded: Sequence[str],
) -> SeriesColumns:
    """The columns that the settings name, or all columns of numbers but the `excluded` ones for time and groups."""
    if columns == "auto":
        kinds = decide_kinds(file, [name for name in file.columns if name not in excluded], settings)
        chosen, notes = _columns_of_numbers(file, kinds)
    else:
        names = [columns] if isinstance(columns, str) else list(columns)
        for name in names:
            file.column(name, "dataset.columns")
        chosen, notes = decide_kinds(file, names, ColumnSettings(numeric=names, decimal=settings.decimal)), []
    names = [kind.name for kind in chosen]
    forms = {kind.name: kind.form for kind in chosen if kind.form != PLAIN}
    notes += [f"{name}: numbers written with {form.describe()}." for name, form in forms.items()]
    return SeriesColumns(tuple(names), tuple(_targets(file, targets, names)), forms, tuple(notes))


def restored(file: CsvFile, fitted: Mapping[str, Any]) -> SeriesColumns:
    """The columns of a trained model. Raises DataError for one that the file does not have."""
    for name in fitted["columns"]:
        file.column(name, "dataset.columns")
    forms = {name: NumberForm(**form) for name, form in fitted.get("forms", {}).items()}
    return SeriesColumns(tuple(fitted["columns"]), tuple(fitted["targets"]), forms)


def _columns_of_numbers(file: CsvFile, kinds: Sequence[ColumnKind]) -> tuple[list[ColumnKind], list[str]]:
    """The columns to use, and why the others are left out."""
    chosen, left_out = [], dict[str, list[str]]()
    for kind in kinds:
        if kind.kind == "index" or kind.reason == TOO_LONG:
            left_out.setdefault(kind.reason, []).append(kind.name)
        elif kind.kind == "date":
            left_out.setdefault("dates beside the time column", []).append(kind.name)
        elif not file[kind.name].counts.keys() - MISSING:
            left_out.setdefault("no value in any row", []).append(kind.name)
        elif kind.kind == "number" or any(map(is_number, file[kind.name].distinct[0])):
            chosen.append(kind)  # a column with some numbers is meant as numbers: a bad cell in it is an error
        else:
            left_out.setdefault("no numbers in it", []).append(kind.name)
    if not chosen:
        raise DataError(f"{file.source} has no column of numbers. It has: {join_words(file.columns)}.")
    return chosen, [f"Left out ({reason}): {join_words(names)}." for reason, names in left_out.items()]


def _targets(file: CsvFile, targets: str | Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns to forecast, which are some of those that are used."""
    if targets == "auto":
        return list(names)
    target_names = [targets] if isinstance(targets, str) else list(targets)
    for name in target_names:
        file.column(name, "dataset.targets")
        if name not in names:
            raise ConfigError(
                f"dataset.targets: '{name}' is not among dataset.columns ({join_words(names)}). Add it there."
            )
    return target_names


def read_values(file: CsvFile, columns: SeriesColumns, missing_values: Sequence[str]) -> Floats:
    """The values [rows, columns], NaN where one is missing."""
    forms = columns.forms
    return np.column_stack([read_numbers(file, name, forms.get(name, PLAIN), missing_values) for name in columns.names])


def leading_gaps(values: Floats, stretches: Sequence[tuple[int, int]]) -> Bools:
    """Which rows stand before the first value of some column in their stretch: nothing can fill them, [rows]."""
    is_leading = np.zeros(len(values), bool)
    for first, end in stretches:
        known = np.logical_or.accumulate(~np.isnan(values[first:end]), axis=0)
        is_leading[first:end] = ~known.all(axis=1)
    return is_leading


def filled(
    file: CsvFile, columns: SeriesColumns, values: Floats, missing: str, stretches: Sequence[tuple[int, int]]
) -> tuple[Floats, Bools]:
    """Values [rows, columns] without gaps, and where the gaps were. A gap takes the value before it, none later."""
    if missing not in ("error", "forward_fill"):
        raise ConfigError(f"dataset.missing is '{missing}'; it can be error or forward_fill.")
    gaps = np.isnan(values)
    if not gaps.any():
        return values, gaps
    if missing == "error":
        raise _missing(file, columns, gaps, "Set dataset.missing to forward_fill, or fill it.")
    values = values.copy()
    for first, end in stretches:
        for i in range(values.shape[1]):
            values[first:end, i] = _forward_filled(values[first:end, i])
    still = np.isnan(values)
    if still.any():
        advice = (
            "There is none before it to fill it from. Leave the first rows out, by dataset.train_rows that start later "
            "or in the file."
        )
        raise _missing(file, columns, still, advice)
    return values, gaps


def _missing(file: CsvFile, columns: SeriesColumns, gaps: Bools, advice: str) -> DataError:
    row, column = (int(position) for position in np.argwhere(gaps)[0])
    name = columns.names[column]
    return DataError(f"{file.source}, row {file.rows[row]}, column '{name}': the value is missing. {advice}")


def _forward_filled(values: Floats) -> Floats:
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(last >= 0, values[last], np.nan)
