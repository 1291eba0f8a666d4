"""New inputs without targets: read in chunks, and prepared for a model as an evaluation prepares its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, overload

from torch import Tensor

ROW_PREFIX = "row "


@dataclass(frozen=True)
class Chunk:
    """Consecutive inputs.

    names: one for each input: its path, or its row.
    inputs: those that could be read, in order, as the model receives them, [readable, ...].
    problems: position in `names` → why that input could not be read.
    columns: what the user wants to keep beside the predictions, name → a text for each input.
    unusual: what was seen in the inputs that training never saw, in words → how many inputs have it.
    """

    names: Sequence[str]
    inputs: Tensor
    problems: Mapping[int, str] = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unusual: Mapping[str, int] = field(default_factory=dict)

    @property
    def readable(self) -> list[int]:
        """The positions in `names` of the inputs that could be read."""
        return [i for i in range(len(self.names)) if i not in self.problems]

    def problem_sentence(self, position: int) -> str:
        """Why the input at a position could not be read, with its name."""
        name, reason = self.names[position], self.problems[position]
        sentence = reason if name in reason else f"{name}: {reason}"
        return sentence if sentence.endswith(".") else f"{sentence}."


@dataclass(frozen=True, eq=False)
class RowNames(Sequence[str]):
    """The names of the rows of a file: "row 2", "row 3"."""

    rows: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> RowNames: ...
    def __getitem__(self, index: int | slice) -> str | RowNames:
        return RowNames(self.rows[index]) if isinstance(index, slice) else f"{ROW_PREFIX}{self.rows[index]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class Source(Protocol):
    """Inputs in a fixed order.

    count: number of inputs; None when it is known at the end only. batch_size: that of an evaluation of them.
    identity: changes when other inputs are given, so that an interrupted prediction is not continued with them.
    notes: sentences about what was found.
    """

    @property
    def count(self) -> int | None: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def identity(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def chunks(self, start: int) -> Iterator[Chunk]:
        """The inputs from position `start` on. All chunks but the last hold a whole number of batches.

        Raises DataError for a file that can't be read at all.
        """
        ...
