"""Writes recorded operations as a Python function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ptrun.engine.capture.recorder import Name, Operation, Recorder

Program = Callable[..., list[Tensor]]


def compile_graph(recorder: Recorder, outputs: Sequence[Name], num_bound: int, *, fast: bool) -> Callable[..., Program]:
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
    made: Callable[..., Program] = scope["bind"]
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
