"""`ptrun eval`: checkpoint → table of metrics, metrics.json, predictions.csv, plots. Needs nothing but the file and the data.

Invariant: the configuration in a checkpoint is data: it is checked like any other and can't name code.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun import checkpoint, evaluation, rundir, schema, state
from ptrun import config as configuration
from ptrun.build import (
    Prepared,
    build_loss,
    build_model,
    build_runtime,
    eval_batches,
    metric_settings,
    place,
    predictions,
    prepare,
)
from ptrun.choices import choose
from ptrun.console import Console
from ptrun.errors import CheckpointError, ConfigError, DataError, listing
from ptrun.loop import evaluate
from ptrun.plots import evaluation as evaluation_plots
from ptrun.plugins import REGISTRIES
from ptrun.settings import GROUPS, RunConfig
from ptrun.spec import DataSpec

CHANGEABLE = ("dataset", "transform", "device", "metrics", "train")


@dataclass(frozen=True)
class Request:
    """What to evaluate, on which split, with which changes to the stored configuration (dotted key → value)."""

    checkpoint: str
    split: str
    output_dir: str
    changes: Mapping[str, Any]
    command: Sequence[str]
    plugins: Sequence[str] = ()
    folders: tuple[Path, ...] = ()
    quiet: bool = False


def run(request: Request) -> dict[str, Any]:
    """Evaluate and write everything; returns what metrics.json holds. Raises PtrunError."""
    path = checkpoint.find(request.checkpoint)
    saved = checkpoint.load(path)
    config = restored_config(saved, path, request)
    runtime = build_runtime(config)
    config, _ = choose(config, request.folders)
    prepared = prepare(config, fitted=saved["fitted"])
    spec = _same_kind(DataSpec.from_dict(saved["spec"]), prepared, path)
    model = place(build_model(config, spec, restoring=True), runtime)
    _load_weights(model, saved, path)
    split = getattr(prepared.data, request.split)
    if len(split) == 0:
        raise DataError(f"The {request.split} split of these data is empty. Choose another split, or other fractions.")
    batches = eval_batches(config, prepared, runtime, split)
    outputs = evaluate(model, build_loss(config, prepared, runtime), batches, runtime)
    predicted = predictions(config, spec, outputs)
    folder = rundir.create(request.output_dir, ("eval", config.model.name, config.dataset.name))
    document = evaluation.write(
        folder.path, request.split, metric_settings(config), predicted, outputs.loss, prepared.data, batches
    )
    folder.write_json(
        "receipt.json",
        {
            **rundir.receipt(request.command, ()),
            "checkpoint": str(path.resolve()),
            "data": {request.split: split.fingerprint()},
        },
    )
    evaluation_plots.draw_evaluation(folder.path, folder.plots)
    _show(request, config, prepared, saved, path, folder.path, document)
    return document


def restored_config(saved: Mapping[str, Any], path: Path, request: Request) -> RunConfig:
    """The stored configuration with the user's changes, checked. Raises ConfigError or CheckpointError."""
    values = copy.deepcopy(saved["config"])
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: its configuration is damaged.")
    values["plugins"] = list(request.plugins)  # those named in the checkpoint are never imported
    apply_changes(values, request.changes, request.folders)
    _require_plugins(values, request)
    return configuration.check(values, request.folders, REGISTRIES)


def _require_plugins(values: Mapping[str, Any], request: Request) -> None:
    """Say that a component is a plugin's, which the checkpoint must not import by itself. Raises ConfigError."""
    problems = []
    for group in GROUPS:
        name, registry = values[group]["name"], REGISTRIES.get(group)
        if schema.find(group, name, request.folders) is None and (registry is None or name not in registry):
            problems.append(
                f"{group}: '{name}' of the checkpoint is no component of ptrun. If it is yours, name its file: plugins=[FILE.py]."
            )
    if problems:
        raise ConfigError(problems)


def apply_changes(values: dict[str, Any], changes: Mapping[str, Any], folders: tuple[Path, ...]) -> None:
    """Set dotted keys in a nested configuration; `group: name` takes that group's YAML. Raises ConfigError."""
    problems = []
    for key, value in sorted(changes.items(), key=lambda item: "." in item[0]):  # choices before their settings
        top, _, rest = key.partition(".")
        if top not in CHANGEABLE:
            problems.append(
                f"{key}: can't be changed in an evaluation. What can: {listing(('checkpoint', 'split', 'output_dir', *CHANGEABLE))}."
            )
        elif not rest and top in GROUPS:
            keys = schema.require(top, str(value), folders).keys
            values[top] = {"name": str(value), **{each.name: copy.deepcopy(each.default) for each in keys.values()}}
        else:
            _set(values, key.split("."), value)
    if problems:
        raise ConfigError(problems)


def _set(values: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        values = values.setdefault(part, {})
    values[parts[-1]] = value


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


def _load_weights(model: Any, saved: Mapping[str, Any], path: Path) -> None:
    try:
        model.load_state_dict(state.evaluated_weights(saved))
    except RuntimeError as error:
        detail = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise CheckpointError(
            f"{path}: its weights do not fit the model that its configuration describes: {detail}."
        ) from error


def _show(
    request: Request,
    config: RunConfig,
    prepared: Prepared,
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
    for fact in prepared.facts:
        console.note(fact)
    console.result([("folder", str(folder))], [], document)
