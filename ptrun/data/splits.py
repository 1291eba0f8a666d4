"""Splits: the samples of one part of a data set, as tensors, as windows over a series, or as files.

Sample i is the same in every call; batches, workers and random numbers are the business of the loaders. Images are
uint8 [channels, height, width]; other inputs are float32 and standardized. Targets are int64 [N] for classes and
float32 [N, num_outputs] for numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from ptrun.errors import DataError


class Split(Protocol):
    """Samples of one part (train, val or test) of a data set."""

    @property
    def targets(self) -> Tensor:
        """All targets in order, on the CPU."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> Tensor:
        """Input of one sample. Raises DataError naming the file or row when it can't be read."""
        ...

    def name(self, index: int) -> str:
        """Where a person finds the sample: its path, or its row in the source."""
        ...

    def fingerprint(self) -> str:
        """Hex digest that changes with the samples and their order."""
        ...


@runtime_checkable
class InMemorySplit(Split, Protocol):
    """A split whose inputs are tensors, so that a batch is one indexed gather."""

    def gather(self, indices: Tensor) -> Tensor:
        """Inputs [len(indices), ...] in the order of `indices`, on the split's device."""
        ...

    def num_bytes(self) -> int:
        """Memory of inputs and targets."""
        ...

    def to(self, device: torch.device) -> InMemorySplit:
        """The same split on a device."""
        ...


@dataclass(frozen=True)
class TensorSplit:
    """Samples in one tensor [N, ...]; `rows` are their positions in the source."""

    inputs: Tensor
    targets: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> Tensor:
        return self.inputs[index]

    def gather(self, indices: Tensor) -> Tensor:
        return self.inputs.index_select(0, indices)

    def name(self, index: int) -> str:
        return f"row {int(self.rows[index])}"

    def num_bytes(self) -> int:
        return self.inputs.nbytes + self.targets.nbytes

    def to(self, device: torch.device) -> TensorSplit:
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))

    def fingerprint(self) -> str:
        return _digest(self.inputs, self.targets)


@dataclass(frozen=True)
class WindowSplit:
    """Sliding windows over one series [T, F], as views: copies would take up to `window` times its memory.

    Window i is the `window` rows from row starts[i] on. Its target is the `target_columns` of the next `horizon` rows,
    flattened row by row to [horizon * len(target_columns)].
    """

    values: Tensor
    starts: Tensor
    window: int
    horizon: int
    target_columns: Tensor

    @property
    def targets(self) -> Tensor:
        """[N, horizon * K], a view unless windows are left out in between."""
        first = self.starts + self.window  # first target row of each window
        if not len(first):
            return self.values.new_empty(0, self.horizon * len(self.target_columns))
        begin, end = int(first[0]), int(first[-1]) + self.horizon
        targets = _sliding(self.values[begin:end].index_select(1, self.target_columns), self.horizon).flatten(1)
        return targets if len(targets) == len(first) else targets.index_select(0, first - begin)

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, index: int) -> Tensor:
        start = int(self.starts[index])
        return self.values[start : start + self.window]

    def gather(self, indices: Tensor) -> Tensor:
        return _sliding(self.values, self.window).index_select(0, self.starts.index_select(0, indices))

    def name(self, index: int) -> str:
        first = int(self.starts[index]) + self.window
        return f"row {first}" if self.horizon == 1 else f"rows {first} to {first + self.horizon - 1}"

    def num_bytes(self) -> int:
        return self.values.nbytes + self.starts.nbytes

    def to(self, device: torch.device) -> WindowSplit:
        return replace(
            self,
            values=self.values.to(device),
            starts=self.starts.to(device),
            target_columns=self.target_columns.to(device),
        )

    def fingerprint(self) -> str:
        return _digest(self.values, self.starts)


def _sliding(values: Tensor, length: int) -> Tensor:
    """All windows of `length` rows of a series [T, F], as one view [T - length + 1, length, F]."""
    return values.unfold(0, length, 1).transpose(1, 2)


@dataclass(frozen=True)
class FileSplit:
    """Samples that are read from files when they are needed.

    sizes: of the files in bytes, for the fingerprint.
    source, rows: the list that names the paths and the row of each path in it, for messages; empty without a list.
    cache: where decoded images are cached after the fixed transforms; cache_dir: folder for "disk" (None: the user's).
    on_bad_sample: "skip" leaves out samples that can't be read.
    decode: "scaled" lets the reader decode a large JPEG in the size that the first transform scales to.
    """

    paths: Sequence[str]
    targets: Tensor
    reader: Callable[[str], Tensor]
    sizes: Sequence[int] = field(default=())
    source: str = ""
    rows: Sequence[int] = field(default=())
    cache: Literal["none", "ram", "disk"] = "none"
    cache_dir: str | None = None
    on_bad_sample: Literal["stop", "skip"] = "stop"
    decode: Literal["exact", "scaled"] = "exact"

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> Tensor:
        try:
            return self.reader(self.paths[index])
        except DataError as error:
            if not self.rows:
                raise
            raise DataError(f"{error} It is named in {self.source}, row {self.rows[index]}.") from error

    def name(self, index: int) -> str:
        return self.paths[index]

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for path, size in zip(self.paths, self.sizes or [0] * len(self.paths), strict=True):
            digest.update(f"{path}\0{size}\0".encode())
        if self.decode != "exact":
            digest.update(self.decode.encode())
        return _digest(self.targets, digest=digest)


def readable(split: Split, indices: Iterable[int]) -> Iterator[Tensor]:
    """The inputs of samples one by one, without those that training would skip because they can't be read."""
    for index in indices:
        try:
            yield split.read(index)
        except DataError:
            if not skips_bad_samples(split):
                raise


def first_readable(splits: Iterable[Split]) -> Tensor:
    """The first input in several splits that can be read. Raises DataError when there is none."""
    first_reason = ""
    for split in splits:
        for index in range(len(split)):
            try:
                return split.read(index)
            except DataError as error:
                first_reason = first_reason or str(error)
    raise DataError(f"dataset: no sample can be read. {first_reason or 'Check the files.'}")


def skips_bad_samples(split: Split) -> bool:
    """Whether training leaves out the samples of a split that can't be read."""
    files = split.source if isinstance(split, PreparedSplit) else split
    return isinstance(files, FileSplit) and files.on_bad_sample == "skip"


@dataclass(frozen=True)
class PreparedSplit:
    """Samples after the deterministic transforms of a pipeline, which run each time a sample is read."""

    source: Split
    fixed: Callable[[Tensor], Tensor]

    @property
    def targets(self) -> Tensor:
        return self.source.targets

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int) -> Tensor:
        return self.fixed(self.source.read(index))

    def name(self, index: int) -> str:
        return self.source.name(index)

    def fingerprint(self) -> str:
        return self.source.fingerprint()


def _digest(*tensors: Tensor, digest: Any = None) -> str:
    """Hex digest of types, shapes and bytes of tensors; continues `digest` if there is one."""
    digest = digest or hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return str(digest.hexdigest())
