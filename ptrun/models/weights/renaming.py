"""How the names of tensors in a file correspond to those of a network.

Training programs wrap a network, keep it in an attribute, or call its modules otherwise. Each way in which names can
correspond is tried in turn (`renamings`); which of them fits is decided by ptrun/models/weights/match.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

# Parts of names that are added by DistributedDataParallel and AveragedModel, by torch.compile, and by training programs
# that keep the network in an attribute.
WRAPPERS = ("module", "_orig_mod", "model", "net")
COUNTER = "num_batches_tracked"  # of batch norm; older files lack it

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Renaming:
    """A name in the file → the name of the network that it stands for.

    words: how the names differ, as a part of a sentence; "" where they are equal.
    unused: tensors in the file that are no part of the network.
    """

    names: Mapping[str, str]
    words: str = ""
    unused: tuple[str, ...] = ()


def renamings(expected: Tensors, stored: Tensors, head: str) -> Iterator[Renaming]:
    """Every way in which the names can correspond, the most literal first.

    head: module of the network that may be absent from the file.
    """
    own_names = {without_wrappers(name): name for name in expected}
    plain = {name: without_wrappers(name) for name in stored}
    if len({*plain.values()}) < len(plain):  # two names would become one
        plain = {name: name for name in stored}
    names = {name: name if name in expected else own_names.get(plain[name], plain[name]) for name in stored}
    parts = {part for name in stored if names[name] != name for part in name.split(".") if part in WRAPPERS}
    words = f"without {' and '.join(repr(part) for part in sorted(parts))} in their names" if parts else ""
    yield Renaming(names, words)
    yield from _with_other_prefixes(own_names, plain, head)
    in_order = _in_order(expected, stored, head)
    if in_order is not None:
        yield in_order


def without_wrappers(name: str) -> str:
    """The name without the parts that wrappers add."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def module_of(name: str) -> str:
    """The name of the module that owns a tensor."""
    return name.rpartition(".")[0]


def _with_other_prefixes(own_names: Mapping[str, str], plain: Mapping[str, str], head: str) -> Iterator[Renaming]:
    """The network, or all of it but its head, is kept under another name in the file, as `backbone.` or `encoder.`."""
    body = [name for name, own in own_names.items() if not own.startswith(f"{head}.")]
    in_network = ["", *_common_prefix(body)]
    in_file = ["", *_prefixes(plain.values())]
    for before in in_file:
        for after in in_network:
            if before == after:
                continue
            inside = {name: after + text[len(before) :] for name, text in plain.items() if text.startswith(before)}
            names = {name: own_names.get(text, text) for name, text in inside.items()}
            yield Renaming(names, _prefix_words(before, after), tuple(name for name in plain if name not in names))


def _prefix_words(before: str, after: str) -> str:
    if not after:
        return f"those of '{before}', without it in their names"
    return f"with '{after}' before their names" if not before else f"those of '{before}' as '{after}'"


def _common_prefix(names: list[str]) -> list[str]:
    """The first part of all names with its dot, if they have one in common."""
    prefixes = {name.partition(".")[0] + "." for name in names}
    return [*prefixes] if len(prefixes) == 1 and all("." in name for name in names) else []


def _prefixes(names: Iterable[str]) -> list[str]:
    """The first part, and the first two parts, of names, those of most names first."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join(parts[:depth]) + "." for depth in (1, 2) if len(parts) > depth)
    return [prefix for prefix, _ in counts.most_common()]


def _in_order(expected: Tensors, stored: Tensors, head: str) -> Renaming | None:
    """Names of another convention: the tensors agree one to one in kind and shape, module by module, in their order.

    The last module may have another shape, if it is the head.
    """
    ours, theirs = _without_counters(expected), _without_counters(stored)
    if len(ours) != len(theirs) or disagreement_in_order(expected, stored, head):
        return None
    modules = {module_of(name): module_of(own) for own, name in zip(ours, theirs, strict=True)}
    names = dict(zip(theirs, ours, strict=True))
    for name in stored:
        if name.endswith(COUNTER) and module_of(name) in modules:
            names[name] = f"{modules[module_of(name)]}.{COUNTER}"
    words = (
        "in their order, because the modules have other names: "
        f"{theirs[0]} is {ours[0]}, ..., {theirs[-1]} is {ours[-1]}"
    )
    return Renaming(names, words)


def disagreement_in_order(expected: Tensors, stored: Tensors, head: str) -> str:
    """The first tensor of the file that is not of the kind, shape and module of the network's; "" when all agree."""
    modules: dict[str, str] = {}
    modules_of_network: dict[str, str] = {}
    for own, name in zip(_without_counters(expected), _without_counters(stored), strict=False):
        same_kind = own.rpartition(".")[2] == name.rpartition(".")[2]
        same_shape = expected[own].shape == stored[name].shape or module_of(own) == head
        same_module = modules.setdefault(module_of(name), module_of(own)) == module_of(own)
        same_module &= modules_of_network.setdefault(module_of(own), module_of(name)) == module_of(name)
        if not (same_kind and same_shape and same_module):
            return f"{name} {list(stored[name].shape)} in the file, {own} {list(expected[own].shape)} in the model"
    return ""


def _without_counters(names: Tensors) -> list[str]:
    return [name for name in names if not name.endswith(COUNTER)]
