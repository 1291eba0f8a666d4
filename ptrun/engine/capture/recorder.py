"""Records the operations that a computation runs, below autograd, in their order and with their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ptrun.engine.capture.torch_internals import is_view

READS_VALUES = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class ReadsValuesError(Exception):
    """The computation looks at the values of a tensor, so other values could lead to other operations."""


@dataclass(frozen=True)
class Name:
    """Stands for a tensor of the computation."""

    text: str


@dataclass(frozen=True)
class Operation:
    """One operation as it ran, with names in place of tensors.

    outputs: one per result; None where the result shows memory that has a name already.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Name | None, ...]
    is_tuple: bool  # whether it returns several results

    @property
    def is_view(self) -> bool:
        """Whether it only gives another view of memory, so that it can be left out when nobody uses that view."""
        return is_view(self.target)

    @property
    def new_names(self) -> list[Name]:
        """Of the results that are new."""
        return [name for name in self.outputs if name is not None]

    @property
    def used_names(self) -> set[Name]:
        """Of the tensors among the arguments."""
        return names_in(self.args) | names_in(self.kwargs)


def names_in(value: Any) -> set[Name]:
    """The names in nested lists, tuples and dictionaries."""
    if isinstance(value, Name):
        return {value}
    if isinstance(value, Mapping):
        return names_in(list(value.values()))
    if isinstance(value, list | tuple):
        return {name for item in value for name in names_in(item)}
    return set()


class OpRecorder(TorchDispatchMode):
    """A context that records every operation inside it, with the memory that it works on. Raises ReadsValuesError.

    A dispatch mode sees operations after autograd and autocast have made them from the Python code, so forward and
    backward pass are one list. A tensor is identified by the memory it shows: two equal views are one value, so an
    operation that changes nothing else (detach, transposing twice) has no new result and is left out.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.constants: dict[Name, Tensor] = {}  # tensors that are neither inputs nor results
        self._names: dict[tuple[Any, ...], Name] = {}
        self._alive: list[Tensor] = []  # memory that was freed and reused would get the name of another tensor
        self.inputs = [self._add_name(tensor, "input") for tensor in inputs]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Asked by some versions of torch, which for True import the compiler (2 s) to exclude this class from it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and record it."""
        kwargs = kwargs or {}
        refuse_reading_values(func, args)
        recorded_args, recorded_kwargs = tuple(self._with_names(args)), self._with_names(kwargs)
        result = func(*args, **kwargs)
        is_tuple = isinstance(result, tuple | list)
        outputs = tuple(self._new_name(output) for output in (result if is_tuple else [result]))
        operation = Operation(func, recorded_args, recorded_kwargs, outputs, is_tuple)
        if operation.new_names or not operation.is_view:
            self.operations.append(operation)
        return result

    def name(self, tensor: Tensor) -> Name:
        """The name of a tensor; one that is neither an input nor a result becomes a constant."""
        name = self._names.get(_memory(tensor))
        if name is None:
            name = self._add_name(tensor, "constant")
            self.constants[name] = tensor
        return name

    def _new_name(self, result: Any) -> Name | None:
        """A name for memory that has none; what was changed in place keeps the name it has."""
        is_new = isinstance(result, Tensor) and _memory(result) not in self._names
        return self._add_name(result, "value") if is_new else None

    def _add_name(self, tensor: Tensor, kind: str) -> Name:
        self._alive.append(tensor)
        return self._names.setdefault(_memory(tensor), Name(f"{kind}_{len(self._names)}"))

    def _with_names(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.name(value)
        if isinstance(value, Mapping):
            return {key: self._with_names(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._with_names(item) for item in value]
        return value


def refuse_reading_values(operation: Any, args: Sequence[Any]) -> None:
    """Raise ReadsValuesError for an operation whose result, or the shape of it, depends on the values of a tensor."""
    if not any(tag in operation.tags for tag in READS_VALUES):
        return
    # `index` has the tag because of masks, which select as many values as they hold true. Indices have fixed shapes.
    is_index = operation is torch.ops.aten.index.Tensor
    if is_index and not any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]):
        return
    raise ReadsValuesError(f"it looks at the values of a tensor ({operation})")


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    """Equal for two tensors that show the same numbers at the same place."""
    return tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype
