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
                values = self.sequences.values[index]
                if not np.isfinite(values).all():
                    problems[index - begin] = "it holds a number that is non-finite (NaN or infinite)"
                    continue
                try:
                    readable.append(prepared(values, self.fitted, self.sequences, index))
                except DataError as error:
                    problems[index - begin] = str(error)
            inputs = torch.from_numpy(np.stack(readable)) if readable else torch.empty(0)
            names = [f"row {self.sequences.rows[index]}" for index in positions]
            yield Chunk(names, inputs, problems, unusual=self._other_lengths(positions))

    def _other_lengths(self, positions: range) -> dict[str, int]:
        """How many of some sequences are padded or cut, because the model reads one length."""
        length = self.fitted["length"]
        lengths = [len(self.sequences.values[index]) for index in positions]
        counts = {
            f"a sequence longer than {length} time steps, of which the model reads the last": sum(
                n > length for n in lengths
            ),
            f"a sequence shorter than {length} time steps, padded in front": sum(n < length for n in lengths),
        }
        return {what: count for what, count in counts.items() if count}
