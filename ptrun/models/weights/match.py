"""Loads stored weights into a network: by name, by names that differ in a known way, or in order.

A file either fits, or the network is left as it was and a CheckpointError lists what does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import nn

from ptrun.errors import CheckpointError, join_words
from ptrun.models.weights.renaming import COUNTER, Renaming, Tensors, disagreement_in_order, module_of, renamings
from ptrun.models.weights.stored import StoredWeights
from ptrun.spec import DataSpec

_LISTED_NAMES = 8


@dataclass(frozen=True)
class Loaded:
    """What became of stored weights.

    sentence: how many tensors were used, how their names were read, and what is new, for the user.
    new_head: why the network's head kept its random weights; "" when the file's head was loaded.
    """

    sentence: str
    new_head: str = ""


@dataclass(frozen=True)
class _Fit:
    """What a renaming gives: tensors by the network's names, and what is wrong with them.

    new_head: names of the head's tensors that are not loaded, in network or file.
    """

    renaming: Renaming
    tensors: Tensors
    new_head: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether every tensor has its place, and more than the head is loaded or the head itself."""
        return bool(self.tensors) and not (self.missing or self.unexpected or self.wrong)

    @property
    def num_right(self) -> int:
        """How many tensors have a place in the network."""
        return len(self.tensors) - len(self.unexpected) - len(self.wrong)


def match_weights(
    network: nn.Module,
    stored: StoredWeights,
    *,
    head: str,
    spec: DataSpec | None = None,
    ignored: Iterable[str] = (),
) -> Loaded:
    """Copy stored tensors into `network`, and say which were used.

    head: name of the module that may differ; when its shapes or its classes do, the file's head is not used.
    spec: of the data whose classes or targets the head gives; None where its outputs are something else.
    ignored: beginnings of names that are not used, such as those of auxiliary classifiers.
    Raises CheckpointError listing every missing, unexpected and wrong-shaped tensor.
    """
    expected = network.state_dict()
    other_outputs = _other_outputs(stored, spec)
    fits = [
        _fit(renaming, expected, stored.tensors, head, tuple(ignored), keep_head=not other_outputs)
        for renaming in renamings(expected, stored.tensors, head)
    ]
    fit = _first_that_fits(fits, stored.source)
    if fit is None:
        raise _misfit(fits, expected, stored, head)
    network.load_state_dict(fit.tensors, strict=False)
    why_new = (other_outputs or "the file has another one or none") if fit.new_head else ""
    return Loaded(_sentence(fit, expected, stored, head, why_new, spec), why_new)


def head_of(network: nn.Module, num_outputs: int) -> str:
    """The name of the last module whose weight has a row for each output; "" when there is none."""
    names = [
        name
        for name, module in network.named_modules()
        if isinstance(getattr(module, "weight", None), nn.Parameter) and len(module.weight) == num_outputs
    ]
    return names[-1] if names else ""


def _fit(
    renaming: Renaming, expected: Tensors, stored: Tensors, head: str, ignored: tuple[str, ...], *, keep_head: bool
) -> _Fit:
    named: Tensors = {own: stored[name] for name, own in renaming.names.items()}
    unused = [name for name in named if name not in expected and name.startswith(ignored)]
    named = _with_head_renamed(
        {name: tensor for name, tensor in named.items() if name not in unused}, expected, f"{head}."
    )
    new_head = _new_head(expected, named, f"{head}.", keep_head=keep_head)
    usable = {name: tensor for name, tensor in named.items() if name not in new_head}
    required = [name for name in expected if name not in new_head and not name.endswith(COUNTER)]
    return _Fit(
        renaming,
        usable,
        new_head,
        missing=[name for name in required if name not in usable],
        unexpected=[name for name in usable if name not in expected],
        wrong=[
            f"{name} (file {list(tensor.shape)}, model {list(expected[name].shape)})"
            for name, tensor in usable.items()
            if name in expected and tensor.shape != expected[name].shape
        ],
        ignored=unused,
    )


def _with_head_renamed(named: Tensors, expected: Tensors, prefix: str) -> Tensors:
    """The tensors with the network's name for the head, where all the file has beside the network is one module."""
    beside = [name for name in named if name not in expected]
    modules = {module_of(name) for name in beside}
    absent = {name for name in expected if name.startswith(prefix)} - named.keys()
    own_kinds = {name.rpartition(".")[2]: name for name in absent}
    if len(modules) != 1 or {name.rpartition(".")[2] for name in beside} != own_kinds.keys():
        return named
    return {own_kinds[name.rpartition(".")[2]] if name in beside else name: tensor for name, tensor in named.items()}


def _new_head(expected: Tensors, named: Tensors, prefix: str, *, keep_head: bool) -> list[str]:
    """Names of the head's tensors in network and file, if any of them differs or the file's is not kept, else none."""
    in_network = {name: tensor.shape for name, tensor in expected.items() if name.startswith(prefix)}
    in_file = {name: tensor.shape for name, tensor in named.items() if name.startswith(prefix)}
    return [] if keep_head and in_network == in_file else sorted({*in_network, *in_file})


def _other_outputs(stored: StoredWeights, spec: DataSpec | None) -> str:
    """In what the classes or targets of the file differ from those of the data; "" where they agree or are unknown."""
    if stored.spec is None or spec is None:
        return ""
    noun = "classes" if spec.class_names else "targets"
    in_file, in_data = (of.class_names or of.target_names for of in (stored.spec, spec))
    if in_file == in_data:
        return ""
    return (
        f"the file's outputs ({join_words(in_file, _LISTED_NAMES)}) are not the {noun} of these data "
        f"({join_words(in_data, _LISTED_NAMES)})"
    )


def _first_that_fits(fits: Sequence[_Fit], source: str) -> _Fit | None:
    """The first reading of the names that fits. Raises CheckpointError when another part of the file fits as well."""
    fitting = [fit for fit in fits if fit.fits]
    if not fitting:
        return None
    first = fitting[0]
    others = [fit for fit in fitting if fit.renaming.names.keys().isdisjoint(first.renaming.names)]
    if others:
        names = [next(iter(fit.renaming.names)) for fit in (first, others[0])]
        raise CheckpointError(
            f"{source}: holds two networks that fit, one with {names[0]} and one with {names[1]}. Save the state dict "
            "of the one that you want in a file of its own."
        )
    return first


def _misfit(fits: Sequence[_Fit], expected: Tensors, stored: StoredWeights, head: str) -> CheckpointError:
    # Another reading of the names than the literal one is reported where most of them fit.
    nearest = max(fits, key=lambda fit: fit.num_right)
    fit = nearest if nearest.num_right > len(stored.tensors) // 2 else fits[0]
    by_problem = {"missing in the file": fit.missing, "unexpected": fit.unexpected, "of another shape": fit.wrong}
    problems = [f"{len(names)} {problem}: {join_words(names, 8)}" for problem, names in by_problem.items() if names]
    in_order = disagreement_in_order(expected, stored.tensors, head)
    if not fit.num_right and in_order:
        problems.append(f"in their order, the first that differs is {in_order}")
    problems = problems or ["it has nothing but a head, and of other outputs"]
    return CheckpointError(
        f"{stored.source} does not fit the model, nothing was loaded: {'; '.join(problems)}. "
        "Choose the architecture that the file was made for."
    )


def _sentence(
    fit: _Fit, expected: Tensors, stored: StoredWeights, head: str, why_new: str, spec: DataSpec | None
) -> str:
    words = f", {fit.renaming.words}" if fit.renaming.words else ""
    parts = [f"{len(fit.tensors)} of {len(stored.tensors)} tensors loaded from {stored.source}{words}"]
    if fit.new_head:
        reason = f", because {why_new}" if stored.spec else ""
        parts.append(f"the head ({len(fit.new_head)} tensors: {', '.join(fit.new_head)}) is new{reason}")
    elif spec and spec.class_names and stored.spec is None:
        parts.append(
            f"its head ({head}) is kept: the file does not say which output is which class, so they are taken in the "
            f"order of these data: {join_words(spec.class_names, _LISTED_NAMES)}"
        )
    counters = [name for name in expected if name.endswith(COUNTER) and name not in fit.tensors]
    if counters:
        parts.append(f"{len(counters)} counters of batches ({COUNTER}) are not in the file and start at 0")
    if fit.ignored:
        parts.append(f"{len(fit.ignored)} tensors of auxiliary classifiers in the file are not used")
    if fit.renaming.unused:
        parts.append(f"{len(fit.renaming.unused)} tensors of other parts in the file are not used")
    return "; ".join(parts)
