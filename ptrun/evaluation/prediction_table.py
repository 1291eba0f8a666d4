"""What is written for each new input: its class with probability, all probabilities, raw outputs, or numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ptrun.errors import ConfigError, join_words
from ptrun.spec import DataSpec, Task

WHAT = ("auto", "class", "probabilities", "values", "logits", "embedding")
Width = NDArray[np.float64] | None  # of the interval on either side of each number [num_outputs], in original units
Table = dict[str, Any]  # name of a column → a text or a number for each input: a sequence, or an array of numbers


@dataclass(frozen=True, eq=False)
class Labels(Sequence[str]):
    """Names of classes, given by the class of each input, [N]."""

    names: Sequence[str]
    codes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Labels: ...
    def __getitem__(self, index: int | slice) -> str | Labels:
        return Labels(self.names, self.codes[index]) if isinstance(index, slice) else self.names[self.codes[index]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def as_list(cells: Any) -> list[Any]:
    """The cells of a column as texts and numbers of Python."""
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


@dataclass(frozen=True)
class Interpreted:
    """The predictions for some inputs, by one model or by the average of several.

    values: classes int64 [N], or numbers float64 [N, num_outputs] in their original units.
    probabilities: float64 [N, num_outputs] of classes; None for numbers.
    logits: raw outputs float32 [N, num_outputs]; embeddings float32 [N, features], empty unless they are asked for.
    disagreement: for several models, float64 [N] or [N, num_outputs]; None for one.
    """

    spec: DataSpec
    values: NDArray[Any]
    probabilities: NDArray[np.float64] | None
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    disagreement: NDArray[np.float64] | None = None


def resolve_what(what: str, spec: DataSpec) -> str:
    """What is written: "auto" means the class, or the numbers. Raises ConfigError for what these models do not give."""
    is_class = spec.task is Task.CLASSIFICATION
    if what == "auto":
        return "class" if is_class else "values"
    refused = ("values",) if is_class else ("class", "probabilities")
    if what in refused or what not in WHAT:
        allowed = [name for name in WHAT if name not in refused]
        raise ConfigError(
            f"what={what}: this model predicts {'classes' if is_class else 'numbers'}, so what can be "
            f"{join_words(allowed)}."
        )
    return what


def numbers_for(what: str, predicted: Interpreted) -> NDArray[Any]:
    """The numbers [N, ...] for an array file."""
    if what == "class":
        return predicted.values
    if what == "probabilities":
        assert predicted.probabilities is not None
        return predicted.probabilities
    if what == "values":
        return predicted.values
    return predicted.embeddings if what == "embedding" else predicted.logits


def columns_for(what: str, predicted: Interpreted, top_k: int, width: Width = None) -> Table:
    """The columns of a table, in order. top_k: classes to write for each input with what=class, most probable first."""
    if what == "class":
        return _top_classes(predicted, top_k)
    spec = predicted.spec
    numbers = numbers_for(what, predicted)
    table = _named(_column_names(what, spec, numbers.shape[1]), numbers)
    if predicted.disagreement is not None and what in ("probabilities", "values"):
        table |= _disagreement(predicted.disagreement, spec)
    return table if width is None else table | _interval(spec.target_names, numbers, width)


def probability_columns(what: str, names: Iterable[str]) -> set[str]:
    """Those of the columns of `columns_for` that hold probabilities."""
    is_probability = what in ("class", "probabilities")
    return {name for name in names if is_probability and name.startswith(("prob_", "probability"))}


def forecast_steps(predicted: Interpreted, times: Sequence[str], width: Width = None) -> Table:
    """The forecast of one input as a row for each step ahead: step, its time if that is known, and each target."""
    spec = predicted.spec
    steps = predicted.values.reshape(spec.horizon, -1)
    names = [name.removesuffix(" +1") for name in spec.target_names[: steps.shape[1]]]
    table: Table = {"step": list(range(1, spec.horizon + 1))}
    if times:
        table["time"] = list(times)
    table |= _named(names, steps)
    if predicted.disagreement is not None:
        disagreement = predicted.disagreement.reshape(steps.shape)
        table |= _named([f"disagreement_{name}" for name in names], disagreement)
    return table if width is None else table | _interval(names, steps, width.reshape(steps.shape))


def _interval(names: Sequence[str], numbers: NDArray[Any], width: NDArray[np.float64]) -> Table:
    lows = _named([f"low_{name}" for name in names], numbers - width)
    return lows | _named([f"high_{name}" for name in names], numbers + width)


def _top_classes(predicted: Interpreted, top_k: int) -> Table:
    names = predicted.spec.class_names
    assert predicted.probabilities is not None
    probabilities = predicted.probabilities
    rows = np.arange(len(probabilities))
    order = predicted.values[:, None]
    if top_k > 1:  # the predicted class first, also where another one is as probable
        others = probabilities.copy()
        others[rows, predicted.values] = np.inf
        order = np.argsort(-others, axis=1, kind="stable")[:, :top_k]
    table: Table = {}
    for k in range(order.shape[1]):
        suffix = "" if k == 0 else f"_{k + 1}"
        table[f"label{suffix}"] = Labels(names, order[:, k])
        table[f"probability{suffix}"] = probabilities[rows, order[:, k]]
    if predicted.disagreement is not None:
        table |= _disagreement(predicted.disagreement, predicted.spec)
    return table


def _disagreement(disagreement: NDArray[np.float64], spec: DataSpec) -> Table:
    if disagreement.ndim == 1:
        return {"disagreement": disagreement}
    return _named([f"disagreement_{name}" for name in spec.target_names], disagreement)


def _column_names(what: str, spec: DataSpec, count: int) -> list[str]:
    if what == "embedding":
        return [f"feature_{i}" for i in range(count)]
    names = spec.class_names or spec.target_names
    prefix = {"probabilities": "prob_", "logits": "logit_", "values": ""}[what]
    return [f"{prefix}{name}" for name in names]


def _named(names: Sequence[str], numbers: NDArray[Any]) -> Table:
    # Adding 0.0 turns -0 into 0.
    return dict(zip(names, (numbers + 0.0).T, strict=True))
