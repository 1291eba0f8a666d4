"""`ptrun show PATH`: prints what a checkpoint is, in words or as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from ptrun.config.schema import yaml_text
from ptrun.errors import join_words
from ptrun.files.json_file import nonfinite_to_none
from ptrun.runs.description import describe
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_bytes, format_metric

_LISTED = 12  # classes or columns that are named; the others are counted
_PURPOSES = {"eval": "evaluate", "resume": "train on"}


def run(checkpoint: str, verbs: Collection[str], *, as_json: bool = False) -> None:
    """Print the description of a checkpoint. verbs: the commands that there are. Raises CheckpointError."""
    description = describe(checkpoint)
    description["use"] = {verb: command for verb, command in description["use"].items() if verb in verbs}
    if as_json:
        print(json.dumps(nonfinite_to_none(description), indent=2, ensure_ascii=False))
        return
    console = Console()
    data, training, test = description["data"], description["training"], description["test"]
    console.header(rows(description), f"{description['model']['name']} trained on {data['dataset']}")
    for note in description["notes"]:
        console.note(note)
    if not training["started"]:
        console.note("The file lies outside of its run folder, which says more: sizes of the splits, test results.")
    elif not test and description["tested_epoch"]:
        console.note(f"The run tested the weights of epoch {description['tested_epoch']}, not these.")
    if test:
        console.text()
        console.metrics(test)
    console.text()
    uses = [(_PURPOSES.get(verb, verb), command) for verb, command in description["use"].items()]
    console.header(uses, "Use")


def rows(description: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of each fact that is known."""
    model, data, training = description["model"], description["data"], description["training"]
    kind = "published" if description["published"] else f"epoch {training['epoch']}, step {training['step']:,}"
    averaged = ", averaged over training" if model["averaged"] else ""
    facts = [
        ("checkpoint", f"{description['checkpoint']} ({kind}; {format_bytes(description['bytes'])})"),
        ("model", f"{model['name']}, {model['parameters']:,} parameters{averaged}{_settings(model['settings'])}"),
        ("data", f"{data['dataset']}{_settings(data['location'])}{_splits(data)}"),
        ("inputs", _inputs(data)),
        ("outputs", _outputs(data)),
        ("trained", _trained(training, description["versions"])),
        ("best", _best(training)),
        ("verdict", description["verdict"] or ""),
        ("run", "" if description["run"] is None else "{folder} ({state})".format(**description["run"])),
    ]
    return [(name, text) for name, text in facts if text]


def _settings(settings: Mapping[str, Any]) -> str:
    return "".join(f", {key}={yaml_text(value)}" for key, value in settings.items() if value is not None)


def _splits(data: Mapping[str, Any]) -> str:
    sizes = data["splits"] or {}
    if not sizes and data["class_counts"]:
        sizes = {"train": sum(data["class_counts"])}
    return "; " + ", ".join(f"{size:,} {name}" for name, size in sizes.items()) if sizes else ""


def _inputs(data: Mapping[str, Any]) -> str:
    shape = "×".join(str(length) for length in data["input_shape"])
    columns = f"; columns: {join_words(data['columns'], _LISTED)}" if data["columns"] else ""
    return f"{data['layout']} {shape}{columns}"


def _outputs(data: Mapping[str, Any]) -> str:
    if not data["classes"]:
        steps = f", {data['horizon']} time steps ahead" if data["horizon"] else ""
        noun = "number" if len(data["targets"]) == 1 else "numbers"
        return f"{len(data['targets'])} {noun}{steps}: {join_words(data['targets'], _LISTED)}"
    counts = data["class_counts"] or [None] * len(data["classes"])
    named = [
        name if count is None else f"{name} ({count:,})" for name, count in zip(data["classes"], counts, strict=True)
    ]
    of_training = "; in brackets: training samples" if data["class_counts"] else ""
    return f"{len(named)} classes: {join_words(named, _LISTED)}{of_training}"


def _trained(training: Mapping[str, Any], versions: Mapping[str, Any]) -> str:
    with_what = ", ".join(f"{name} {version}" for name, version in versions.items())
    started = f"{training['started']}, " if training["started"] else ""
    lr = f" lr {training['lr']:g}" if training["lr"] else ""
    settings = f"{training['loss']}, {training['optimizer']}{lr}, batches of {training['batch_size']}"
    return f"{started}{settings}, seed {training['seed']}; {with_what}"


def _best(training: Mapping[str, Any]) -> str:
    if training["best_value"] is None:
        return ""
    value = format_metric(training["monitor"], training["best_value"])
    return f"{training['monitor']} {value} in epoch {training['best_epoch']}"
