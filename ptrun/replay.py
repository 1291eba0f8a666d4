"""A torch.fx graph as a plain Python function that runs its operations one after another.

Invariant: the operations, their order and their arguments are those of the graph; a value is dropped after its last use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Step = Callable[..., list[Tensor]]


def compile_graph(module: Any, num_bound: int, *, fast: bool) -> Callable[..., Step]:
    """Return a function of the first `num_bound` inputs that returns a function of the others.

    Transposed views of the bound inputs, the parameters, are made once. `fast` calls those operations directly that
    Python has a binding for: the same code, reached in a third of the time.
    """
    nodes = list(module.graph.nodes)
    inputs = [node for node in nodes if node.op == "placeholder"]
    bound = set(inputs[:num_bound])
    prologue = [n for n in nodes if n.target is torch.ops.aten.t.default and n.args[0] in bound]
    kept = bound.union(prologue)
    values: dict[str, Any] = {}
    last_user = {used: node for node in nodes for used in node.all_input_nodes}
    body = [
        _line(node, module, values, fast) + _drop(node, kept, last_user)
        for node in nodes
        if node.op in ("call_function", "get_attr") and node not in kept
    ]
    (output,) = (node for node in nodes if node.op == "output")
    lines = [
        f"def bind({_names(inputs[:num_bound])}):",
        *(f"  {_line(node, module, values, fast)}" for node in prologue),
        f"  def step({_names(inputs[num_bound:])}):",
        *(f"    {line}" for line in body),
        f"    return {_written(output.args[0], values)}",
        "  return step",
    ]
    exec("\n".join(lines), values)  # noqa: S102 (names and operations come from torch's own recording, never from a file)
    made: Callable[..., Step] = values["bind"]
    return made


def _names(nodes: list[Any]) -> str:
    return ", ".join(node.name for node in nodes)


def _line(node: Any, module: Any, values: dict[str, Any], fast: bool) -> str:
    if node.op == "get_attr":
        values[f"value_{node.name}"] = getattr(module, node.target)
        return f"{node.name} = value_{node.name}"
    values[f"run_{node.name}"] = _binding(node.target) if fast else node.target
    arguments = [_written(each, values) for each in node.args]
    arguments += [f"{key}={_written(each, values)}" for key, each in node.kwargs.items()]
    return f"{node.name} = run_{node.name}({', '.join(arguments)})"


def _drop(node: Any, kept: set[Any], last_user: Mapping[Any, Any]) -> str:
    """Forget what is used here for the last time."""
    done = [each for each in node.all_input_nodes if each not in kept and last_user[each] is node]
    done += [] if node.users else [node]
    return f"; del {_names(done)}" if done else ""


def _written(value: Any, values: dict[str, Any]) -> str:
    """An argument as source: nodes and plain numbers by themselves, all else (dtypes, devices) by a name."""
    if isinstance(value, torch.fx.Node):
        return value.name
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_written(each, values) for each in value) + "]"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    name = f"constant_{len(values)}"
    values[name] = value
    return name


def _binding(operation: Any) -> Any:
    """The function of `torch` for an operator, or what the operator itself calls."""
    schema = getattr(operation, "_schema", None)
    if schema is None:
        return operation
    name = schema.name.removeprefix("aten::")
    for place in (torch._C._VariableFunctions, torch._C._nn, torch.Tensor):
        found = getattr(place, name, None)
        if found is not None:
            return found
    return getattr(operation, "_op", operation)
