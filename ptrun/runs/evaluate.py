"""`ptrun eval`: evaluates a checkpoint. Needs nothing but the file and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ptrun.build.batches import eval_batches
from ptrun.build.data import Prepared, prepare, takes_split
from ptrun.build.description import next_command
from ptrun.build.evaluation import make_predictions, metric_settings
from ptrun.build.model import build_loss, build_views
from ptrun.build.run import build_runtime
from ptrun.checkpoint import store
from ptrun.config.auto import resolve_auto
from ptrun.config.former_keys import own_keys, renamed
from ptrun.config.run_config import RunConfig
from ptrun.device.runtime import Runtime
from ptrun.engine.evaluate import predict
from ptrun.errors import DataError
from ptrun.evaluation import results
from ptrun.plugins import REGISTRIES, attribute_plugin_errors
from ptrun.process.startup import keep_freed_memory
from ptrun.reports import evaluation as evaluation_plots
from ptrun.reports.html_table import html_table
from ptrun.runs.find import find_checkpoint
from ptrun.runs.folder import RECEIPT, create_run_dir
from ptrun.runs.receipt import make_receipt
from ptrun.runs.trained_model import Changes, as_files_are_written, restore_config, restore_model
from ptrun.spec import DataSpec
from ptrun.terminal.console import Console

_DATA_LOCATIONS = ("dataset.path", "dataset.root")
_ALL_NEW: Mapping[str, Any] = {  # all of other data are tested, whichever columns the training was divided by
    "split.name": "auto",
    "split.test_fraction": 1.0,
    "split.group": None,
    "split.column": None,
    "split.folds": None,
    "split.fold": 0,
}


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate, on which split, with which changes to the stored configuration (dotted key → value).

    checkpoint: a checkpoint or a run folder, for `run`; a file of weights, for ptrun/runs/evaluate_weights.py.
    """

    checkpoint: str
    split: str
    output_dir: str
    plots: bool
    changes: Mapping[str, Any]
    command: Sequence[str]
    plugins: Sequence[str] = ()
    folders: tuple[Path, ...] = ()
    quiet: bool = False


@dataclass(frozen=True)
class Subject:
    """A model to evaluate, the data, and what is said about them.

    origin: where the weights come from, as a row of the header; receipt: the same, for the receipt.
    next_commands: what to type next, as (purpose, command).
    """

    config: RunConfig
    prepared: Prepared
    spec: DataSpec
    model: nn.Module
    runtime: Runtime
    notes: tuple[str, ...]
    origin: tuple[str, str]
    receipt: Mapping[str, str]
    next_commands: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class EvalResult:
    """How an evaluation went. document: what metrics.json holds."""

    run_dir: Path
    document: Mapping[str, Any]

    @property
    def metrics(self) -> dict[str, float]:
        """Loss and metrics by name."""
        return {"loss": self.document["loss"], **self.document["metrics"]}

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name}={value:.4g}" for name, value in self.metrics.items() if value is not None)
        return f"EvalResult({self.document['split']}: {metrics}, folder {self.run_dir})"

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return html_table([{"metric": name, self.document["split"]: value} for name, value in self.metrics.items()])


def run(request: EvalRequest) -> EvalResult:
    """Evaluate and write everything. Raises PtrunError."""
    keep_freed_memory()
    path, notes = find_checkpoint(request.checkpoint)
    saved = store.load(path)
    request, data_notes = _use_all_new_data(request, saved)
    changes = Changes(request.changes, request.plugins, request.folders)
    saved = as_files_are_written(saved, changes)
    config, _ = resolve_auto(restore_config(saved, path, changes), request.folders)
    with attribute_plugin_errors(config.model.name):
        subject = _restore(request, config, path, saved, data_notes)
        return evaluate_subject(request, replace(subject, notes=(*notes, *subject.notes)))


def _restore(
    request: EvalRequest, config: RunConfig, path: Path, saved: Mapping[str, Any], data_notes: tuple[str, ...]
) -> Subject:
    """The model of a checkpoint, and the data prepared as its training data were.

    data_notes: on the part of new data that is evaluated.
    """
    runtime = build_runtime(config)  # sets the number of threads, with which the data are read too
    prepared = prepare(config, saved["fitted"], [request.split])
    fraction = request.changes.get("split.test_fraction", request.changes.get("dataset.test_fraction"))
    if fraction == 1.0 and len(prepared.data.train) + len(prepared.data.val):
        data_notes = ("The test part that the new data come with is evaluated.",)
    spec = _require_same_kind(DataSpec.from_dict(saved["spec"]), prepared.spec, path)
    model, runtime = restore_model(config, spec, runtime, saved, path)
    progress = saved["progress"]
    origin = ("checkpoint", f"{path} (epoch {progress['epoch']}, step {progress['step']})")
    receipt = {"checkpoint": str(path.resolve())}
    notes = (*data_notes, *prepared.notes)
    following = [next_command(config.to_dict()["dataset"], path)]
    return Subject(config, prepared, spec, model, runtime, notes, origin, receipt, following)


def evaluate_subject(request: EvalRequest, subject: Subject) -> EvalResult:
    """Evaluate the split of the request and write everything."""
    config, prepared = subject.config, subject.prepared
    split = getattr(prepared.data, request.split)
    if len(split) == 0:
        raise DataError(f"The {request.split} split of these data is empty. Choose another split, or other fractions.")
    batches = eval_batches(config, prepared, subject.runtime, split)
    model = build_views(config, subject.spec)(subject.model)
    outputs = predict(model, build_loss(config, prepared, subject.runtime), batches, subject.runtime)
    predicted = make_predictions(config, subject.spec, outputs)
    folder = create_run_dir(request.output_dir, ("eval", config.model.name, config.dataset.name))
    document = results.write(
        folder.path, request.split, metric_settings(config), predicted, outputs.loss, prepared.data, batches
    )
    receipt = make_receipt(request.command, ())
    folder.write_json(RECEIPT, {**receipt, **subject.receipt, "data": {request.split: split.fingerprint()}})
    if request.plots:
        evaluation_plots.draw_evaluation(folder.path, folder.plots)
    _show(request, subject, folder.path, document)
    return EvalResult(folder.path, document)


def _use_all_new_data(request: EvalRequest, saved: Mapping[str, Any]) -> tuple[EvalRequest, tuple[str, ...]]:
    """The request and notes on it; evaluate all of a data set that is not the one of the training.

    None of it was trained on. Where the user names its parts, these are evaluated.
    """
    locations = [key for key in _DATA_LOCATIONS if key in request.changes]
    name = str(request.changes.get("dataset", saved["config"]["dataset"]["name"]))
    own = own_keys(name, request.folders, REGISTRIES)
    changes = renamed(request.changes, own)
    fraction = "dataset.test_fraction" if "test_fraction" in own else "split.test_fraction"
    chooses = fraction in changes or any(key.startswith("split.") for key in changes)
    if not locations or request.split != "test" or chooses or not takes_split(name):
        return request, ()
    stored = saved["config"]["dataset"]
    rows = changes.get("dataset.test_rows", stored.get("test_rows"))
    if rows:
        return request, (f"Rows {rows[0]} to {rows[1]} of the new data are evaluated, as dataset.test_rows says.",)
    changes |= {fraction: 1.0} if "test_fraction" in own else _ALL_NEW
    if stored.get("test_path") and "dataset.test_path" not in changes:
        changes["dataset.test_path"] = None  # the test file of the training is not a part of the new data
    if _is_same_place(changes[locations[0]], stored.get(locations[0].removeprefix("dataset."))):
        note = (
            f"{locations[0]} names the data of the training, and all of them are evaluated, so training samples are "
            f"among them. Leave {locations[0]} out to evaluate the test split."
        )
    else:
        note = f"All of the new data are evaluated, because {locations[0]} is given; {fraction}=0.2 takes a part."
    return replace(request, changes=changes), (note,)


def _is_same_place(given: Any, stored: Any) -> bool:
    """Whether two settings name one file or folder."""
    if not isinstance(given, str) or not isinstance(stored, str):
        return False
    return Path(given).expanduser().resolve() == Path(stored).expanduser().resolve()


def _require_same_kind(trained: DataSpec, spec: DataSpec, path: Path) -> DataSpec:
    """The spec that the model was trained with. Raises DataError when the data do not fit it."""
    for name, of_model, of_data in (
        ("samples of shape", list(trained.input_shape), list(spec.input_shape)),
        ("the task", str(trained.task), str(spec.task)),
        ("this many outputs:", trained.num_outputs, spec.num_outputs),
    ):
        if of_model != of_data:
            raise DataError(
                f"The model in {path} was trained for {name} {of_model}, but these data give {of_data}. "
                "Choose data of the same kind."
            )
    return trained


def _show(request: EvalRequest, subject: Subject, folder: Path, document: Mapping[str, Any]) -> None:
    config = subject.config
    console = Console(request.quiet)
    console.header(
        [
            subject.origin,
            ("data", f"{config.dataset.name}, {request.split} split, {document['num_samples']:,} samples"),
        ],
        f"ptrun eval {config.model.name} on {config.dataset.name}",
    )
    for note in subject.notes:
        console.note(note)
    console.result([("folder", str(folder))], subject.next_commands, document)
