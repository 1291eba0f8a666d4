"""`ptrun.load`: a trained model as a small Python object that predicts from paths, images, arrays, rows or tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, cat, nn

from ptrun.build.inputs import InputSettings
from ptrun.config.run_config import RunConfig
from ptrun.data.inputs.source import Chunk, Source
from ptrun.device.caller_state import preserve_caller_state
from ptrun.errors import DataError
from ptrun.evaluation.prediction_table import Interpreted
from ptrun.reports.html_table import html_table
from ptrun.runs.prediction.given_inputs import open_given
from ptrun.runs.prediction.predict import load_predictor
from ptrun.runs.prediction.predictor import Predictor, aligned_chunks
from ptrun.runs.trained_model import Changes
from ptrun.spec import DataSpec, Task

_SHOWN_ROWS = 20


@dataclass(frozen=True)
class Prediction:
    """What a model says of one input.

    label, probability: of the most probable class; probabilities: of every class by name. Empty for numbers.
    values: numbers by the name of their target, in original units; empty for classes.
    disagreement: between several models; None for one.
    problem: why there is no prediction, else "".
    """

    input: str
    label: str | None = None
    probability: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict, repr=False)
    values: Mapping[str, float] = field(default_factory=dict)
    disagreement: Any = None
    problem: str = ""

    def __repr__(self) -> str:
        if self.problem:
            return f"Prediction({self.input!r}, problem={self.problem!r})"
        if self.label is None:
            values = ", ".join(f"{name}={value:.6g}" for name, value in self.values.items())
            return f"Prediction({self.input!r}, {values})"
        return f"Prediction({self.input!r}, {self.label!r}, probability={self.probability:.4g})"


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """The predictions for several inputs, in their order.

    probabilities: [N, classes], or values: [N, targets], with NaN for inputs that could not be read; else empty.
    """

    items: Sequence[Prediction]
    probabilities: NDArray[np.float64]
    values: NDArray[np.float64]

    @overload
    def __getitem__(self, index: int) -> Prediction: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Prediction]: ...

    def __getitem__(self, index: int | slice) -> Prediction | Sequence[Prediction]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def labels(self) -> list[str | None]:
        """The most probable class of each input."""
        return [item.label for item in self.items]

    def records(self) -> list[dict[str, Any]]:
        """One dictionary for each input, for pandas.DataFrame or a CSV writer."""
        return [_record(item) for item in self.items]

    def __repr__(self) -> str:
        shown = [f"  {item!r}" for item in self.items[:_SHOWN_ROWS]]
        more = [f"  ... and {len(self) - _SHOWN_ROWS} more"] if len(self) > _SHOWN_ROWS else []
        return "\n".join([f"{len(self)} predictions:", *shown, *more])

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return html_table(self.records()[:_SHOWN_ROWS], len(self))


class LoadedModel:
    """A trained model, or the average of several.

    model: the plain nn.Module in evaluation mode, on its device. spec: what it takes and gives. classes: their names.
    config: of the training.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        first = predictor.members[0]
        self.model: nn.Module = first.network
        self.spec: DataSpec = first.spec
        self.config: RunConfig = first.config
        self.path = first.path
        self.classes: tuple[str, ...] = first.spec.class_names

    def predict(
        self, inputs: Any, *, rolling: bool = False, resize: bool = False, raise_on_problem: bool = True
    ) -> Prediction | Predictions:
        """Predict one input or many.

        inputs: a path, or a list of paths; an image of Pillow or a list of them; an array of one sample or of many;
            a dictionary or a data frame of columns; a list of dictionaries, one for each row.
        rolling: for a series, a forecast from every row instead of one after the last.
        resize: scale images to the size that the model was trained on.
        raise_on_problem: raise DataError for the first input that can't be read; else its prediction says why.
        """
        sources, is_one = self._open(inputs, InputSettings(rolling=rolling, resize=resize))
        names, problems, interpreted = self._run(sources, "class", raise_on_problem)
        predictions = _collected(self.spec, names, problems, interpreted)
        return predictions[0] if is_one else predictions

    def embed(self, inputs: Any, *, resize: bool = False) -> NDArray[np.float32]:
        """The features of each input from which the head computes its outputs, [N, features]; [features] for one."""
        sources, is_one = self._open(inputs, InputSettings(resize=resize))
        _, _, interpreted = self._run(sources, "embedding", raise_on_problem=True)
        _require_some(interpreted)
        features: NDArray[np.float32] = np.concatenate([part.embeddings for part in interpreted])
        return features[0] if is_one else features

    def transform(self, inputs: Any, *, resize: bool = False) -> Tensor:
        """Inputs as the network receives them, [N, ...], for your own use of `model`. Raises DataError."""
        sources, _ = self._open(inputs, InputSettings(resize=resize))
        chunks = [_checked(chunk) for chunk in sources[0].chunks(0)]
        _require_some(chunks)
        return cat([chunk.inputs for chunk in chunks])

    def _open(self, inputs: Any, settings: InputSettings) -> tuple[list[Source], bool]:
        """The sources of the inputs, one for each way to prepare them, and whether they are one sample."""
        opened = [open_given(inputs, preparation) for preparation in self._predictor.preparations(settings)]
        return [source for source, _ in opened], opened[0][1]

    def _run(
        self, sources: Sequence[Source], what: str, raise_on_problem: bool
    ) -> tuple[list[str], dict[int, str], list[Interpreted]]:
        """Names of all inputs, problems by position, and the predictions of the others."""
        names: list[str] = []
        problems: dict[int, str] = {}
        interpreted = []
        for chunk, prepared in aligned_chunks(sources, 0):
            if raise_on_problem:
                _checked(chunk)
            problems |= {len(names) + position: reason for position, reason in chunk.problems.items()}
            names += chunk.names
            if len(prepared[0]):
                interpreted.append(self._predictor.interpret(prepared, sources[0].batch_size, what))
        return names, problems, interpreted

    def __repr__(self) -> str:
        what = f"{len(self.classes)} classes" if self.classes else f"{len(self.spec.target_names)} numbers"
        shape = "x".join(map(str, self.spec.input_shape))
        return f"<ptrun model {self.config.model.name}: {self.spec.layout} {shape} → {what}, {self.path}>"


def load(checkpoint: str | Sequence[str], changes: Changes, *, ensemble: bool = False) -> LoadedModel:
    """The model of one or several checkpoints. The caller's random numbers and threads stay as they are."""
    with preserve_caller_state():
        return LoadedModel(load_predictor(checkpoint, changes, ensemble=ensemble))


def _require_some(parts: Sequence[Any]) -> None:
    """Raise DataError when there are no inputs, which have no features."""
    if not parts:
        raise DataError("predict: there are no inputs: the file or the table has no rows.")


def _checked(chunk: Chunk) -> Chunk:
    """The chunk. Raises DataError when one of its inputs could not be read."""
    for position in chunk.problems:
        raise DataError(chunk.problem_sentence(position))
    return chunk


def _collected(
    spec: DataSpec, names: Sequence[str], problems: Mapping[int, str], interpreted: Sequence[Interpreted]
) -> Predictions:
    """The predictions of all inputs; those with a problem have none."""
    is_class = spec.task is Task.CLASSIFICATION
    numbers = np.full((len(names), spec.num_outputs), np.nan)
    readable = [i for i in range(len(names)) if i not in problems]
    if interpreted:
        parts = [part.probabilities if is_class else part.values for part in interpreted]
        numbers[readable] = np.concatenate([part for part in parts if part is not None])
    classes = np.concatenate([part.values for part in interpreted]) if is_class and interpreted else numbers
    disagreement = [row for part in interpreted for row in ([] if part.disagreement is None else part.disagreement)]
    items = [Prediction(name, problem=problems.get(i, "")) for i, name in enumerate(names)]
    for k, i in enumerate(readable):
        differs = disagreement[k] if disagreement else None
        if is_class:
            label = spec.class_names[int(classes[k])]
            by_class = dict(zip(spec.class_names, numbers[i].tolist(), strict=True))
            items[i] = Prediction(names[i], label, by_class[label], by_class, disagreement=differs)
        else:
            values = dict(zip(spec.target_names, numbers[i].tolist(), strict=True))
            items[i] = Prediction(names[i], values=values, disagreement=differs)
    nothing = np.zeros((0, 0))
    return Predictions(items, numbers if is_class else nothing, nothing if is_class else numbers)


def _record(item: Prediction) -> dict[str, Any]:
    record: dict[str, Any] = {"input": item.input}
    if item.label is not None:
        record |= {"label": item.label, "probability": item.probability}
    record |= item.values
    if item.disagreement is not None:
        record["disagreement"] = np.asarray(item.disagreement).tolist()
    return {**record, "problem": item.problem} if item.problem else record
