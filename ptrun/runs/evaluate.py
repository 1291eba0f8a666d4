"""`ptrun eval`: checkpoint → table of metrics, metrics.json, predictions.csv, plots. Needs nothing but the file and the data.

Invariant: the configuration in a checkpoint is data: it is checked like any other and can't name code.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ptrun.build.batches import eval_batches
from ptrun.build.data import Prepared, prepare
from ptrun.build.model import build_loss, build_model, build_views
from ptrun.build.run import build_runtime
from ptrun.checkpoint import state, store
from ptrun.config import check as configuration
from ptrun.config import schema
from ptrun.config.auto import resolve_auto
from ptrun.config.run_config import RunConfig
from ptrun.config.stored import CHANGEABLE_WHEN_EVALUATING, apply_changes, require_plugins
from ptrun.device.auto import settle
from ptrun.engine.evaluate import predict
from ptrun.errors import CheckpointError, DataError
from ptrun.evaluation import results
from ptrun.evaluation.validation import metric_settings, predictions_of
from ptrun.plugins import REGISTRIES, attribute_plugin_errors
from ptrun.reports import evaluation as evaluation_plots
from ptrun.runs import find
from ptrun.runs.find import runs_of
from ptrun.runs.folder import RunDir, create_run_dir
from ptrun.runs.receipt import make_receipt
from ptrun.spec import DataSpec
from ptrun.terminal.console import Console

_PLACES = ("dataset.path", "dataset.root")


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate, on which split, with which changes to the stored configuration (dotted key → value)."""

    checkpoint: str
    split: str
    output_dir: str
    plots: bool
    changes: Mapping[str, Any]
    command: Sequence[str]
    plugins: Sequence[str] = ()
    folders: tuple[Path, ...] = ()
    quiet: bool = False


def run(request: EvalRequest) -> dict[str, Any]:
    """Evaluate and write everything; returns what metrics.json holds. Raises PtrunError."""
    path, which = _meant(request.checkpoint)
    saved = store.load(path)
    request, note = _all_of_new_data(request, saved)
    config, _ = resolve_auto(restored_config(saved, path, request), request.folders)
    with attribute_plugin_errors(config.model.name):
        return _evaluate(request, config, path, saved, which, note)


def _evaluate(
    request: EvalRequest,
    config: RunConfig,
    path: Path,
    saved: Mapping[str, Any],
    which: Sequence[str],
    note: Sequence[str],
) -> dict[str, Any]:
    runtime = build_runtime(config)
    prepared = prepare(config, fitted=saved["fitted"])
    if request.changes.get("dataset.test_fraction") == 1.0 and len(prepared.data.train) + len(prepared.data.val):
        note = ("The test part that the new data come with is evaluated.",)
    spec = _same_kind(DataSpec.from_dict(saved["spec"]), prepared, path)
    model = build_model(config, spec, restoring=True)
    runtime = settle(runtime, model, spec.input_shape, config.train.batch_size)
    model = runtime.place(model)
    state.load_weights(model, state.evaluated_weights(saved), str(path))
    split = getattr(prepared.data, request.split)
    if len(split) == 0:
        raise DataError(f"The {request.split} split of these data is empty. Choose another split, or other fractions.")
    batches, views = eval_batches(config, prepared, runtime, split), build_views(config, spec)
    outputs = predict(views(model), build_loss(config, prepared, runtime), batches, runtime)
    predicted = predictions_of(config, spec, outputs)
    folder = create_run_dir(request.output_dir, ("eval", config.model.name, config.dataset.name))
    document = results.write(
        folder.path, request.split, metric_settings(config), predicted, outputs.loss, prepared.data, batches
    )
    folder.write_json(
        "receipt.json",
        {
            **make_receipt(request.command, ()),
            "checkpoint": str(path.resolve()),
            "data": {request.split: split.fingerprint()},
        },
    )
    if request.plots:
        evaluation_plots.draw_evaluation(folder.path, folder.plots)
    _show(request, config, (*which, *note, *prepared.facts), saved, path, folder.path, document)
    return document


def _meant(given: str) -> tuple[Path, tuple[str, ...]]:
    """The checkpoint file that a user means, in a sweep's folder that of its best run, which is then said. Raises CheckpointError."""
    folder = Path(given).expanduser()
    runs = runs_of(folder)
    try:
        if runs:
            return find.find_checkpoint(str(runs[0])), (f"The best of the {len(runs)} runs of this sweep.",)
        return find.find_checkpoint(given), ()
    except CheckpointError as error:
        reason = RunDir(runs[0] if runs else folder).read_json("status.json").get("reason")
        raise CheckpointError(f"{error} That run ended so: {reason}" if reason else str(error)) from error


def _all_of_new_data(request: EvalRequest, saved: Mapping[str, Any]) -> tuple[EvalRequest, tuple[str, ...]]:
    """With another file or folder and no word about its parts, evaluate all of it: none of it was trained on."""
    elsewhere = [key for key in _PLACES if key in request.changes]
    dataset = schema.find(
        "dataset", str(request.changes.get("dataset", saved["config"]["dataset"]["name"])), request.folders
    )
    if dataset is None or "test_fraction" not in dataset.keys:
        return request, ()
    if not elsewhere or request.split != "test" or "dataset.test_fraction" in request.changes:
        return request, ()
    rows = request.changes.get("dataset.test_rows", saved["config"]["dataset"].get("test_rows"))
    if rows:
        return request, (f"Rows {rows[0]} to {rows[1]} of the new data are evaluated, as dataset.test_rows says.",)
    forgotten = {}
    if saved["config"]["dataset"].get("test_path") and "dataset.test_path" not in request.changes:
        forgotten = {"dataset.test_path": None}
    said = (
        f"All of the new data are evaluated, because {elsewhere[0]} is given; dataset.test_fraction=0.2 takes a part."
    )
    return replace(request, changes={**request.changes, **forgotten, "dataset.test_fraction": 1.0}), (said,)


def restored_config(saved: Mapping[str, Any], path: Path, request: EvalRequest) -> RunConfig:
    """The stored configuration with the user's changes, checked. Raises ConfigError or CheckpointError."""
    values = copy.deepcopy(saved["config"])
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: its configuration is damaged.")
    values["plugins"] = list(request.plugins)  # those named in the checkpoint are never imported
    apply_changes(values, request.changes, CHANGEABLE_WHEN_EVALUATING, request.folders)
    require_plugins(values, REGISTRIES, request.folders)
    return configuration.check(values, request.folders, REGISTRIES)


def _same_kind(trained: DataSpec, prepared: Prepared, path: Path) -> DataSpec:
    """The spec the model was trained with; the data must fit it. Raises DataError."""
    found = prepared.spec
    for what, of_model, of_data in (
        ("samples of shape", list(trained.input_shape), list(found.input_shape)),
        ("the task", str(trained.task), str(found.task)),
        ("this many outputs:", trained.num_outputs, found.num_outputs),
    ):
        if of_model != of_data:
            raise DataError(
                f"The model in {path} was trained for {what} {of_model}, but these data give {of_data}. Choose data of the same kind."
            )
    return trained


def _show(
    request: EvalRequest,
    config: RunConfig,
    facts: Sequence[str],
    saved: Mapping[str, Any],
    path: Path,
    folder: Path,
    document: Mapping[str, Any],
) -> None:
    console = Console(request.quiet)
    progress = saved["progress"]
    console.header(
        [
            ("checkpoint", f"{path} (epoch {progress['epoch']}, step {progress['step']})"),
            ("data", f"{config.dataset.name}, {request.split} split, {document['num_samples']:,} samples"),
        ],
        f"ptrun eval {config.model.name} on {config.dataset.name}",
    )
    for fact in facts:
        console.note(fact)
    console.result([("folder", str(folder))], [], document)
