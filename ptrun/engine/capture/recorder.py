"""The operations that a computation runs, taken down one by one and written as a plain Python function.

Invariant: the operations, their order and their arguments are those that ran; a value is dropped after its last use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_READS_VALUES = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class ReadsValuesError(Exception):
    """The computation looks at the values of a tensor, so that other values may take another way."""


@dataclass(frozen=True)
class Name:
    """A tensor of the computation, by the name it has in the written function."""

    text: str


@dataclass(frozen=True)
class Operation:
    """One operation as it ran, with names in place of tensors; `outputs` are those of its results, None for nothing new."""

    target: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Name | None, ...]
    is_tuple: bool  # whether it returns several results

    @property
    def is_view(self) -> bool:
        """Whether it only gives another name to memory, and so leaves no trace when nobody uses that."""
        returned = [each.alias_info for each in self.target._schema.returns]
        return all(alias is not None and not alias.is_write for alias in returned) and bool(returned)


class Recorder(TorchDispatchMode):
    """A context that takes down every operation below autograd and autocast, with the memory it works on.

    Tensors are told apart by the memory that they show: two views that show the same are one value, so that what only
    renames (detach, twice transposed) is left out by itself. Raises ReadsValuesError.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.constants: dict[str, Tensor] = {}  # tensors that came from elsewhere
        self._names: dict[tuple[Any, ...], Name] = {}
        self._alive: list[Tensor] = []  # memory that was given back could be mistaken for another value
        self.inputs = [self._name(each, "input") for each in inputs]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Asked by some versions of torch, which import the compiler, two seconds, to tell it that this is not for it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and take it down."""
        if any(tag in func.tags for tag in _READS_VALUES):
            raise ReadsValuesError(f"it looks at the values of a tensor ({func})")
        noted, noted_kwargs = tuple(self._noted(args)), self._noted(kwargs or {})
        result = func(*args, **(kwargs or {}))
        several = isinstance(result, tuple | list)
        outputs = tuple(self._new_name(each) for each in (result if several else [result]))
        operation = Operation(func, noted, noted_kwargs, outputs, several)
        if any(outputs) or not operation.is_view:
            self.operations.append(operation)
        return result

    def name(self, tensor: Tensor) -> Name:
        """Of a result, or of a tensor that no operation made."""
        known = self._names.get(_memory(tensor))
        if known is None:
            known = self._name(tensor, "constant")
            self.constants[known.text] = tensor
        return known

    def _new_name(self, result: Any) -> Name | None:
        """Of memory that has none yet: what was changed in place keeps its own."""
        is_new = isinstance(result, Tensor) and _memory(result) not in self._names
        return self._name(result, "value") if is_new else None

    def _name(self, tensor: Tensor, kind: str) -> Name:
        self._alive.append(tensor)
        return self._names.setdefault(_memory(tensor), Name(f"{kind}_{len(self._names)}"))

    def _noted(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.name(value)
        if isinstance(value, Mapping):
            return {key: self._noted(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._noted(each) for each in value]
        return value


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    """What a tensor shows: equal for two tensors that are the same numbers at the same place."""
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype
