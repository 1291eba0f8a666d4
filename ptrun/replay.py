"""The operations that a computation runs, taken down one by one and written as a plain Python function.

Invariant: the operations, their order and their arguments are those that ran; a value is dropped after its last use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Step = Callable[..., list[Tensor]]
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


def written(recorder: Recorder, outputs: Sequence[Name], num_bound: int, *, fast: bool) -> Callable[..., Step]:
    """Return a function of the first `num_bound` inputs that returns a function of the others.

    Views of the bound inputs, the parameters, are made once. `fast` calls those operations directly that Python has a
    binding for: the same code, reached in a third of the time.
    """
    used = _used(recorder.operations, outputs)
    bound = {name.text for name in recorder.inputs[:num_bound]}
    before, within = _split(used, bound)
    kept = bound.union(recorder.constants, *(_texts(each.outputs) for each in before), _texts(outputs))
    last = {text: each for each in within for text in (*_texts(each.args), *_texts(each.kwargs), *_texts(each.outputs))}
    scope: dict[str, Any] = dict(recorder.constants)
    lines = [
        f"def bind({_joined(recorder.inputs[:num_bound])}):",
        *(f"  {_line(each, scope, fast)}" for each in before),
        f"  def step({_joined(recorder.inputs[num_bound:])}):",
        *(f"    {_line(each, scope, fast)}{_drop(each, last, kept)}" for each in within),
        f"    return [{_joined(outputs)}]",
        "  return step",
    ]
    exec("\n".join(lines), scope)  # noqa: S102 (names and operations come from torch's own calls, never from a file)
    made: Callable[..., Step] = scope["bind"]
    return made


def _used(operations: Sequence[Operation], outputs: Sequence[Name]) -> list[Operation]:
    """Without the views that nobody uses."""
    wanted, kept = set(_texts(outputs)), []
    for each in reversed(operations):
        if each.is_view and not wanted & _texts(each.outputs):
            continue
        kept.append(each)
        wanted |= _texts(each.args) | _texts(each.kwargs)
    return kept[::-1]


def _split(operations: Sequence[Operation], bound: set[str]) -> tuple[list[Operation], list[Operation]]:
    """The views of bound inputs, which outlast a step, and the rest."""
    before: list[Operation] = []
    within: list[Operation] = []
    fixed = set(bound)
    for each in operations:
        if each.is_view and _texts(each.args) and _texts(each.args) <= fixed:
            before.append(each)
            fixed |= _texts(each.outputs)
        else:
            within.append(each)
    return before, within


def _texts(value: Any) -> set[str]:
    """The names in nested arguments."""
    if isinstance(value, Name):
        return {value.text}
    if isinstance(value, Mapping):
        return _texts(list(value.values()))
    if isinstance(value, list | tuple):
        return {text for each in value for text in _texts(each)}
    return set()


def _joined(names: Sequence[Name]) -> str:
    return ", ".join(name.text for name in names)


def _line(operation: Operation, scope: dict[str, Any], fast: bool) -> str:
    called = f"run_{len(scope)}"
    scope[called] = _binding(operation.target) if fast else operation.target
    arguments = [_written(each, scope) for each in operation.args]
    arguments += [f"{key}={_written(each, scope)}" for key, each in operation.kwargs.items()]
    call = f"{called}({', '.join(arguments)})"
    if not any(operation.outputs):
        return call
    targets = ", ".join("_" if each is None else each.text for each in operation.outputs)
    return f"{targets}{',' if operation.is_tuple else ''} = {call}"


def _drop(operation: Operation, last: Mapping[str, Operation], kept: set[str]) -> str:
    """Forget what is used here for the last time."""
    named = _texts(operation.args) | _texts(operation.kwargs) | _texts(operation.outputs)
    done = sorted(text for text in named - kept if last[text] is operation)
    return f"; del {', '.join(done)}" if done else ""


def _written(value: Any, scope: dict[str, Any]) -> str:
    """An argument as source: names and plain numbers by themselves, all else (dtypes, devices) by a name."""
    if isinstance(value, Name):
        return value.text
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_written(each, scope) for each in value) + "]"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    name = f"given_{len(scope)}"
    scope[name] = value
    return name


def _binding(operation: Any) -> Any:
    """The function of `torch` for an operator, or what the operator itself calls."""
    name = operation._schema.name.removeprefix("aten::")
    for place in (torch._C._VariableFunctions, torch._C._nn, torch.Tensor):
        found = getattr(place, name, None)
        if found is not None:
            return found
    return getattr(operation, "_op", operation)
