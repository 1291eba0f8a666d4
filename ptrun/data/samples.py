"""What a data set tells of its samples so that they can be divided: classes, keys, columns, parts that come along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ptrun.data.duplicates import Identified, Keys
from ptrun.data.partition import Indices


@dataclass(frozen=True)
class Given:
    """A part that comes with the data. source: what holds it. samples: to be compared with those of other parts."""

    source: str
    samples: Identified | None = None


@dataclass(frozen=True)
class Samples:
    """What decides the part of each of `count` samples.

    noun: what they are, for messages. same: what equal ones are. name: where a person finds a sample.
    classes: int64 [count], with their names; None for numbers. targets: of any kind, to compare duplicates.
    keys: a number for each sample, equal for equal samples; None where that is not known.
    given: the parts that come with the data (val, test); the samples are then those of train.
    column: function that returns the cells of a column; its second argument is the setting that names it.
    times: function that returns the times of the samples and how each is written, for the setting split.time_column.
    """

    count: int
    noun: str
    name: Callable[[int], str]
    classes: NDArray[np.int64] | None = None
    class_names: Sequence[str] = ()
    targets: NDArray[np.generic] | None = None
    keys: Keys | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    column: Callable[[str, str], Sequence[str]] | None = None
    same: str = "are the same as"
    times: Callable[[str | Sequence[str]], tuple[NDArray[np.float64], Sequence[str]]] | None = None

    def take(self, rows: Indices) -> Samples:
        """Some of the samples."""
        return replace(
            self,
            count=len(rows),
            name=lambda i: self.name(int(rows[i])),
            classes=None if self.classes is None else self.classes[rows],
            targets=None if self.targets is None else self.targets[rows],
            keys=None if self.keys is None else self.keys[rows],
        )

    def identified(self) -> Identified | None:
        """The samples with their keys, if these are known."""
        return None if self.keys is None else Identified(self.keys, self.name, self.targets)
