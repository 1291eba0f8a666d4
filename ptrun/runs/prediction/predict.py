"""`ptrun predict`: applies trained models to new inputs, and writes what they predict for each of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptrun.build.inputs import InputSettings, file_identity, open_inputs
from ptrun.data.inputs.series import LastWindow
from ptrun.data.inputs.source import Chunk, Source
from ptrun.errors import ConfigError, DataError
from ptrun.evaluation.prediction_table import (
    Interpreted,
    Table,
    as_list,
    columns_for,
    forecast_steps,
    numbers_for,
    probability_columns,
    resolve_what,
)
from ptrun.plugins import attribute_plugin_errors
from ptrun.process.startup import keep_freed_memory
from ptrun.runs.find import sweep_runs
from ptrun.runs.prediction.file import PredictionFile, Tally
from ptrun.runs.prediction.interval import interval_width
from ptrun.runs.prediction.output import output_path, require_use
from ptrun.runs.prediction.predicted import Predicted
from ptrun.runs.prediction.predictor import Predictor, aligned_chunks
from ptrun.runs.prediction.text import csv_text
from ptrun.runs.trained_model import Changes, load_trained_model
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_seconds

_SHOWN_ROWS = 5
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class PredictRequest:
    """Which models predict what for which inputs; conf/predict.yaml has meanings.

    changes: of the stored configuration, and the files that the user names.
    """

    checkpoint: str | Sequence[str]
    input: str | Sequence[str]
    changes: Changes
    output: str | None = None
    what: str = "auto"
    top_k: int = 1
    keep: Sequence[str] | str = ()
    rolling: bool = False
    interval: float | None = None
    resize: bool = False
    path_column: str = "auto"
    on_bad_sample: str = "skip"
    ensemble: bool = False
    overwrite: bool = False
    quiet: bool = False

    @property
    def locations(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else [str(location) for location in self.input]


def run(request: PredictRequest) -> Predicted:
    """Predict, write the file, print a summary. Raises PtrunError."""
    keep_freed_memory()
    output = output_path(request.output, request.locations, overwrite=request.overwrite)
    console = Console(request.quiet, stream=sys.stderr if output is None else None)
    predictor = load_predictor(request.checkpoint, request.changes, ensemble=request.ensemble)
    what = resolve_what(request.what, predictor.spec)
    require_use(output, what, top_k=request.top_k, keep=request.keep, interval=request.interval)
    with attribute_plugin_errors(predictor.members[0].config.model.name):
        return _Prediction(request, predictor, what, console, output).run()


def load_predictor(checkpoint: str | Sequence[str], changes: Changes, *, ensemble: bool = False) -> Predictor:
    """The models of one or several checkpoints; with `ensemble`, of all runs of a sweep."""
    checkpoints = [checkpoint] if isinstance(checkpoint, str) else [str(path) for path in checkpoint]
    if ensemble:
        runs = [run for path in checkpoints for run in sweep_runs(Path(path).expanduser())]
        if not runs:
            raise ConfigError(
                "ensemble=true averages the runs of a sweep, but checkpoint names none. Several checkpoints are "
                "averaged as checkpoint=[A,B]."
            )
        checkpoints = [str(run) for run in runs]
    if not checkpoints:
        raise ConfigError("checkpoint: name at least one.")
    return Predictor(tuple(load_trained_model(path, changes) for path in checkpoints))


class _Prediction:
    """One prediction command, from its sources to its file."""

    def __init__(
        self, request: PredictRequest, predictor: Predictor, what: str, console: Console, output: Path | None
    ) -> None:
        self.request, self.predictor, self.what, self.console, self.output = request, predictor, what, console, output
        settings = InputSettings(request.keep, request.rolling, request.resize, request.path_column)
        self.sources: list[Source] = [
            open_inputs(request.locations, preparation) for preparation in predictor.preparations(settings)
        ]
        self.shown: list[Table] = []
        self.width, self.notes = interval_width(predictor, request.interval, what)

    def run(self) -> Predicted:
        self._show_header()
        start = time.monotonic()
        if self.output is None:
            tally = Tally()
            self._to_stdout(tally)
            self._show_result(tally, time.monotonic() - start, 0)
            return Predicted(None, tally)
        file = PredictionFile(self.output, self._key())
        with file.writing():
            done_before = file.tally.done
            if done_before:
                self.console.note(f"Continues after {done_before:,} inputs, where the same command was interrupted.")
            for chunk, predicted in self._predicted(file.tally):
                self._append(file, chunk, predicted)
                file.tally.done += len(chunk.names)
                file.sync_sometimes()
        file.finish()
        self._show_result(file.tally, time.monotonic() - start, done_before)
        return Predicted(self.output, file.tally, self.shown[0] if self.shown else {})

    def _predicted(self, tally: Tally) -> Iterator[tuple[Chunk, Interpreted]]:
        """The chunks that are not done yet, each with its predictions; what they tell is added to the tally."""
        total = self.sources[0].count
        try:
            for chunk, inputs in aligned_chunks(self.sources, tally.done):
                self._count(chunk, tally)
                predicted = self.predictor.interpret(inputs, self.sources[0].batch_size, self.what)
                _count_labels(predicted, tally)
                yield chunk, predicted
                self.console.work(tally.done, total)
            if not tally.done:
                named = ", ".join(map(_location_text, self.request.locations))
                raise DataError(f"input: {named}: there are no rows to predict.")
        finally:
            self.console.clear()

    def _count(self, chunk: Chunk, tally: Tally) -> None:
        """Raises DataError for the first input that can't be read, with on_bad_sample=stop."""
        reasons = [chunk.problem_sentence(position) for position in chunk.problems]
        if reasons and self.request.on_bad_sample == "stop":
            raise DataError(f"{reasons[0]} on_bad_sample=skip reports such inputs and goes on.")
        tally.bad += len(reasons)
        tally.first_problems += reasons[: _SHOWN_PROBLEMS - len(tally.first_problems)]
        for what, count in chunk.unusual.items():
            tally.unusual[what] = tally.unusual.get(what, 0) + count

    def _append(self, file: PredictionFile, chunk: Chunk, predicted: Interpreted) -> None:
        if file.format == "npy":
            file.append_array(_spread_array(numbers_for(self.what, predicted), chunk))
            return
        table = self._table(chunk, predicted)
        if not self.shown:
            self.shown.append({name: as_list(cells[:_SHOWN_ROWS]) for name, cells in table.items()})
        file.append(table, short=probability_columns(self.what, table))

    def _table(self, chunk: Chunk, predicted: Interpreted) -> Table:
        source = self.sources[0]
        if isinstance(source, LastWindow) and self.what == "values":
            return forecast_steps(predicted, source.times, self.width)
        columns = columns_for(self.what, predicted, self.request.top_k, self.width)
        own = {"input", "problem", *columns}
        kept = {f"input_{name}" if name in own else name: list(cells) for name, cells in chunk.columns.items()}
        problems: list[str | None] = [None] * len(chunk.names)
        for position, reason in chunk.problems.items():
            problems[position] = reason
        return {"input": chunk.names, **kept, **_spread(columns, chunk), "problem": problems}

    def _to_stdout(self, tally: Tally) -> None:
        for chunk, predicted in self._predicted(tally):
            table = self._table(chunk, predicted)
            short = probability_columns(self.what, table)
            sys.stdout.write(csv_text(table, short, header=not tally.done).decode())
            tally.done += len(chunk.names)

    def _key(self) -> dict[str, Any]:
        """What decides the content of the output."""
        request = self.request
        return {
            "checkpoints": [file_identity(member.path) for member in self.predictor.members],
            "inputs": [source.identity for source in self.sources],
            "what": [self.what, request.top_k, request.keep, request.rolling, request.resize, request.interval],
            "batch": self.sources[0].batch_size,
            "changes": {key: str(value) for key, value in request.changes.settings.items()},
        }

    def _show_header(self) -> None:
        first, *others = self.predictor.members
        count = self.sources[0].count
        rows = [
            ("checkpoint", first.title),
            *(("", str(member.path)) for member in others),
            (
                "input",
                ", ".join(map(_location_text, self.request.locations)) + ("" if count is None else f" ({count:,})"),
            ),
            ("device", first.runtime.name()),
        ]
        self.console.header(rows, f"ptrun predict {first.config.model.name}, trained on {first.config.dataset.name}")
        for note in (*first.notes, *self.sources[0].notes, *self.notes):
            self.console.note(note)

    def _show_result(self, tally: Tally, seconds: float, done_before: int) -> None:
        console, new = self.console, tally.done - done_before
        rate = f" in {format_seconds(seconds)} ({new / seconds:,.0f} a second)" if seconds > 0 and new else ""
        rows = [
            ("predicted", f"{tally.done - tally.bad:,} of {tally.done:,} input{'s' if tally.done != 1 else ''}{rate}")
        ]
        if tally.labels:
            common = sorted(tally.labels.items(), key=lambda item: -item[1])
            more = f" and {len(common) - 8} more classes" if len(common) > 8 else ""
            rows.append(("classes", ", ".join(f"{label} {count:,}" for label, count in common[:8]) + more))
        if self.output is not None:
            rows.append(("output", str(self.output)))
        console.result(rows, [])
        for table in self.shown:
            visible = {name: cells for name, cells in table.items() if any(cell is not None for cell in cells)}
            console.text()
            console.table(list(visible), [[*map(_shown, row)] for row in zip(*visible.values(), strict=True)])
        for what, count in sorted(tally.unusual.items(), key=lambda item: -item[1])[:8]:
            console.warn(f"{what}, in {count:,} input{'s' if count != 1 else ''}.")
        if tally.bad:
            named = " ".join(tally.first_problems)
            console.warn(f"{tally.bad:,} of {tally.done:,} inputs have no prediction. {named}")


def _location_text(location: str) -> str:
    return "standard input" if location == "-" else location


def _count_labels(predicted: Interpreted, tally: Tally) -> None:
    """Add to the tally how often each class was predicted."""
    if predicted.probabilities is None:
        return
    counts = np.bincount(predicted.values, minlength=len(predicted.spec.class_names))
    for name, count in zip(predicted.spec.class_names, counts.tolist(), strict=True):
        if count:
            tally.labels[name] = tally.labels.get(name, 0) + count


def _spread(columns: Table, chunk: Chunk) -> Table:
    """Columns of the readable inputs as columns of all inputs, with None for the others."""
    if not chunk.problems:
        return columns
    readable = chunk.readable
    spread: Table = {name: [None] * len(chunk.names) for name in columns}
    for name, cells in columns.items():
        for i, cell in zip(readable, as_list(cells), strict=True):
            spread[name][i] = cell
    return spread


def _spread_array(numbers: NDArray[Any], chunk: Chunk) -> NDArray[Any]:
    """Rows of numbers of all inputs: NaN for those without a prediction, -1 where the numbers are classes."""
    if not chunk.problems:
        return numbers
    missing = -1 if numbers.dtype.kind == "i" else np.nan
    spread = np.full((len(chunk.names), *numbers.shape[1:]), missing, numbers.dtype)
    spread[chunk.readable] = numbers
    return spread


def _shown(cell: Any) -> str:
    return "" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else str(cell)
