"""One trained model, or several whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptrun.build.evaluation import predicts_one_vs_rest
from ptrun.build.inputs import InputSettings, Preparation
from ptrun.data.inputs.source import Chunk, Source
from ptrun.errors import ConfigError
from ptrun.evaluation.prediction_table import Interpreted
from ptrun.metrics.predictions import interpret
from ptrun.models.embedding import Embedder
from ptrun.runs.prediction.merged_batches import MergedBatches
from ptrun.runs.trained_model import TrainedModel
from ptrun.spec import DataSpec, Task


@dataclass(frozen=True)
class Predictor:
    """Trained models for data of one kind. Raises ConfigError when they predict different things."""

    members: tuple[TrainedModel, ...]

    def __post_init__(self) -> None:
        for member in self.members[1:]:
            for what in ("task", "class_names", "target_names", "layout", "horizon"):
                first, other = getattr(self.spec, what), getattr(member.spec, what)
                if first != other:
                    raise ConfigError(
                        f"checkpoint: models whose predictions are averaged need one {what.replace('_', ' ')}: "
                        f"{self.members[0].path} has {_shown(first)}, {member.path} has {_shown(other)}."
                    )

    @property
    def spec(self) -> DataSpec:
        return self.members[0].spec

    def preparations(self, settings: InputSettings) -> list[Preparation]:
        """How inputs are prepared for each member; one entry when all prepare them alike."""
        preparations = [
            Preparation(
                m.config, m.spec, m.fitted, m.pipeline, m.runtime.device, settings, self.members[0].config.train
            )
            for m in self.members
        ]
        first = preparations[0].key
        return preparations[:1] if all(preparation.key == first for preparation in preparations) else preparations

    def interpret(self, inputs: Sequence[Tensor], batch_size: int, what: str) -> Interpreted:
        """The predictions for prepared inputs: one tensor for each member, or one for all of them."""
        if not len(inputs[0]):  # one input of zeros shows the shapes
            return _without_rows(self.interpret([torch.zeros(1, *self.spec.input_shape)], batch_size, what))
        by_member = list(inputs) * len(self.members) if len(inputs) == 1 else list(inputs)
        if what == "embedding":
            return self._embedded(by_member[0], batch_size)
        outputs = [
            merged.outputs(member_inputs, batch_size)
            for merged, member_inputs in zip(self._merged, by_member, strict=True)
        ]
        return _averaged(self.spec, outputs, [predicts_one_vs_rest(m.config, m.spec) for m in self.members])

    @cached_property
    def _merged(self) -> list[MergedBatches]:
        return [MergedBatches(member) for member in self.members]

    @cached_property
    def _embedder(self) -> Embedder:
        if len(self.members) > 1:
            raise ConfigError("what=embedding: the features of several models have no average. Name one checkpoint.")
        return Embedder(self.members[0].network, self.spec.num_outputs)

    def _embedded(self, inputs: Tensor, batch_size: int) -> Interpreted:
        features = [self.members[0].apply(self._embedder, batch) for batch in torch.split(inputs, batch_size)]
        nothing = np.zeros((0, 0), np.float32)
        return Interpreted(self.spec, nothing, None, nothing, torch.cat(features).numpy())


def aligned_chunks(sources: Sequence[Source], start: int) -> Iterator[tuple[Chunk, list[Tensor]]]:
    """The chunks of equal inputs that are prepared in several ways, with the inputs that could be prepared in all."""
    for chunks in zip(*(source.chunks(start) for source in sources), strict=True):
        problems = {position: reason for chunk in chunks for position, reason in chunk.problems.items()}
        first = replace(chunks[0], problems=dict(sorted(problems.items())))
        yield first, [_without(chunk, problems.keys()) for chunk in chunks]


def _without(chunk: Chunk, positions: Collection[int]) -> Tensor:
    """The inputs of a chunk without those at some positions, among which are all that could not be read."""
    if len(positions) == len(chunk.problems):
        return chunk.inputs
    return chunk.inputs[[k for k, i in enumerate(chunk.readable) if i not in positions]]


def _averaged(spec: DataSpec, outputs: Sequence[Tensor], one_vs_rest: Sequence[bool]) -> Interpreted:
    """The mean of the members' probabilities, or of their numbers, and how far they differ."""
    interpreted = [interpret(spec, member, flag) for member, flag in zip(outputs, one_vs_rest, strict=True)]
    logits = torch.stack(list(outputs)).mean(0).numpy() if len(outputs) > 1 else outputs[0].numpy()
    nothing = np.zeros((0, 0), np.float32)
    if len(outputs) == 1:
        values, probabilities = interpreted[0]
        return Interpreted(spec, values, probabilities, logits, nothing)
    if spec.task is Task.CLASSIFICATION:
        mean: NDArray[np.float64] = np.mean([p for _, p in interpreted if p is not None], axis=0)
        classes = mean.argmax(1)
        disagreement = np.mean([values != classes for values, _ in interpreted], axis=0)
        return Interpreted(spec, classes, mean, logits, nothing, disagreement)
    numbers = np.array([values for values, _ in interpreted])
    return Interpreted(spec, numbers.mean(0), None, logits, nothing, numbers.std(0))


def _without_rows(predicted: Interpreted) -> Interpreted:
    """The same kinds of predictions for no input."""
    return Interpreted(
        predicted.spec,
        predicted.values[:0],
        None if predicted.probabilities is None else predicted.probabilities[:0],
        predicted.logits[:0],
        predicted.embeddings[:0],
        None if predicted.disagreement is None else predicted.disagreement[:0],
    )


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) < 80 else f"{text[:77]}..."
