"""New sequences, of a file whose labels are absent or passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.datasets.sequences import prepared
from ptrun.data.formats.ts_file import Sequences
from ptrun.data.inputs.source import Chunk
from ptrun.errors import DataError


def sequences_of(values: Sequence[NDArray[Any]], name: str) -> Sequences:
    """Sequences [time, channels] or [time] from arrays of any lengths. Raises DataError for samples of another kind."""
    rows = list(range(len(values)))
    for row, sequence in enumerate(values):
        if sequence.ndim not in (1, 2) or sequence.dtype.kind not in "iufb" or not len(sequence):
            raise DataError(
                f"{name}, row {row}: it holds {sequence.dtype} {list(sequence.shape)}; sequences are numbers "
                "[time] or [time, channels]."
            )
        if not np.isfinite(sequence).all():
            raise DataError(f"{name}, row {row}: it holds a number that is non-finite (NaN or infinite).")
    columns = [sequence.reshape(len(sequence), -1).astype(np.float64) for sequence in values]
    return Sequences(name, columns, ["?"] * len(rows), rows)


@dataclass(frozen=True)
class NewSequences:
    """The source of the sequences of a file. fitted: what the training learned: scale and length."""

    sequences: Sequences
    fitted: Mapping[str, Any]
    batch_size: int
    identity: str = ""
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.sequences.values)

    def chunks(self, start: int) -> Iterator[Chunk]:
        for begin in range(start, self.count, self.batch_size):
            positions = range(begin, min(begin + self.batch_size, self.count))
            readable, problems = [], {}
            for index in positions:
                try:
                    readable.append(prepared(self.sequences.values[index], self.fitted, self.sequences, index))
                except DataError as error:
                    problems[index - begin] = str(error)
            inputs = torch.from_numpy(np.stack(readable)) if readable else torch.empty(0)
            yield Chunk([f"row {self.sequences.rows[index]}" for index in positions], inputs, problems)
