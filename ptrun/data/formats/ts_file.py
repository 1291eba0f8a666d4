"""Reads labeled sequences from `.ts` files of the UCR and sktime archives.

Each sequence keeps its own length; nothing is padded, scaled or filled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptrun.data.formats.number_form import numbers
from ptrun.data.formats.text_encoding import encoding_of, not_decodable
from ptrun.errors import DataError, join_words
from ptrun.rng import Floats


@dataclass(frozen=True)
class Sequences:
    """Values [time steps, channels] of each sequence, its label, its row in the file, and what was found about them.

    has_header: whether the first line of the file names the columns; None for a file without columns.
    """

    source: str
    values: list[Floats]
    labels: list[str]
    rows: list[int]
    notes: tuple[str, ...] = ()
    has_header: bool | None = None


def read_ts(path: Path, *, labeled: bool = True) -> Sequences:
    """Read a .ts file. Raises DataError naming the row of what does not fit.

    labeled: false for sequences to predict, which may have labels; they are not read.
    Format: https://www.sktime.net/en/stable/api_reference/file_specifications/ts.html.
    """
    try:
        lines = path.read_text(encoding=encoding_of(path)).splitlines()
    except UnicodeDecodeError as error:
        raise DataError(not_decodable(path, error)) from error
    except OSError as error:
        raise DataError(f"{path} can't be read as text: {error}.") from error
    sequences = Sequences(str(path), [], [], [])
    in_data, num_channels, has_labels = False, 0, True
    for row, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        if not in_data:
            has_labels = has_labels and not _says_unlabeled(line)
            in_data = _header_ends(line, path, row, labeled)
            continue
        *channels, label = line.split(":") if has_labels else [*line.split(":"), "?"]
        num_channels = num_channels or len(channels)
        if not label or len(channels) != num_channels or not num_channels:
            raise DataError(
                f"{path}, row {row}: it has {len(channels)} channels and the label '{label[:40]}'; "
                f"{num_channels or 1} channels and a label are needed."
            )
        sequences.values.append(_values(channels, path, row))
        sequences.labels.append(label.strip())
        sequences.rows.append(row)
    if not in_data:
        raise DataError(f"{path} has no @data line, so it is not a .ts file.")
    if not sequences.values:
        raise DataError(f"{path} is empty: it has no sequences.")
    return sequences


def _says_unlabeled(line: str) -> bool:
    """Whether a line of the header says that the sequences have no class labels."""
    key, *values = line.lower().split()
    return key == "@targetlabel" or (key == "@classlabel" and values[:1] == ["false"])


def _header_ends(line: str, path: Path, row: int, labeled: bool) -> bool:
    """Whether a line of the header is its last. Raises DataError for files without class labels or with time stamps."""
    key, *values = line.lower().split()
    if not key.startswith("@"):
        raise DataError(f"{path}, row {row}: '{line[:40]}' stands before the @data line, so this is not a .ts file.")
    if key == "@timestamps" and values[:1] == ["true"]:
        raise DataError(
            f"{path}: sequences with time stamps are not supported. Write the values alone, at even time steps."
        )
    if labeled and _says_unlabeled(line):
        raise DataError(f"{path} has no class labels ({line[:40]}); this data set is for classification.")
    return key == "@data"


def _values(channels: Sequence[str], path: Path, row: int) -> Floats:
    """The values [time steps, channels] of a line."""
    table = [
        _channel_values(cells.split(","), path, row, f"channel {i + 1}" if len(channels) > 1 else "")
        for i, cells in enumerate(channels)
    ]
    columns = _without_padding(table)
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(
            f"{path}, row {row}: its channels have different lengths ({join_words(map(str, sorted(lengths)))})."
        )
    values = np.column_stack(columns)
    if not len(values):
        raise DataError(f"{path}, row {row}: it has no values.")
    missing = np.argwhere(np.isnan(values))
    if len(missing):
        step, channel = missing[0]
        place = f"channel {channel + 1} value {step + 1}" if len(channels) > 1 else f"value {step + 1}"
        raise DataError(f"{path}, row {row}, {place}: the value is missing. Fill it, or remove the sequence.")
    return values


def _without_padding(channels: Sequence[Floats]) -> list[Floats]:
    """The channels without the steps at the end that all of them lack; archives pad short sequences with NaN or `?`."""
    ends = [int(present[-1]) + 1 for values in channels if len(present := np.flatnonzero(~np.isnan(values)))]
    length = max(ends, default=0)
    return [values[:length] for values in channels]


def _channel_values(cells: Sequence[str], path: Path, row: int, channel: str) -> Floats:
    value_name = f"{channel} value" if channel else "value"
    try:
        values = np.array(cells, dtype=np.str_).astype(np.float64)
    except ValueError:
        values = np.array([np.nan])
    if np.isfinite(values).all():
        return values
    steps = enumerate(cells, start=1)
    return np.concatenate([numbers([cell.strip()], [row], str(path), f"{value_name} {step}") for step, cell in steps])
