"""ptrun: train any PyTorch model on any data from YAML."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptrun.version import __version__

if TYPE_CHECKING:
    from ptrun.runs.compare import Comparison
    from ptrun.runs.evaluate import EvalResult
    from ptrun.runs.prediction.loaded_model import LoadedModel
    from ptrun.runs.prediction.predicted import Predicted
    from ptrun.runs.summary import TrainResult
    from ptrun.sweeps.result import SweepResult

    Checkpoint = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

__all__ = ["__version__", "compare", "eval", "load", "predict", "sweep", "train"]


def train(*overrides: str, config_dir: str | None = None, quiet: bool = False, **settings: Any) -> TrainResult:
    """Run `ptrun train` from Python.

    Settings are given as on the command line, as keywords, or both: `ptrun.train("model=lstm", train={"epochs": 3})`.
    Returns the run folder, the summary and the best monitored value. Raises ptrun.errors.PtrunError.
    Afterwards the random states, torch's number of threads and its default dtype are as they were before the call.
    Only one run at a time trains in a process: a second one, in another thread, raises ConfigError.
    """
    from ptrun.process.one_run import only_run_of_process

    with only_run_of_process():
        return _train(overrides, settings, config_dir, quiet)


def _train(overrides: tuple[str, ...], settings: Mapping[str, Any], config_dir: str | None, quiet: bool) -> TrainResult:
    from ptrun.config.compose import Composer
    from ptrun.config.folders import conf_folders
    from ptrun.config.load import load_config
    from ptrun.config.override_text import override_texts

    overrides = (*overrides, *override_texts(settings))
    composer = Composer("train", conf_folders(config_dir))
    loaded = load_config(composer, overrides)
    for note in composer.notes if not quiet else ():
        print(f"note: {note}")

    from ptrun.device.caller_state import preserve_caller_state
    from ptrun.runs import session

    request = session.TrainRequest(
        loaded.config, loaded.as_written, overrides, ["ptrun", "train", *overrides], composer.folders, quiet=quiet
    )
    with preserve_caller_state():
        return session.run(request)


def eval(
    checkpoint: str | os.PathLike[str] | None = None,
    *overrides: str,
    config_dir: str | None = None,
    quiet: bool = False,
    **settings: Any,
) -> EvalResult:
    """Run `ptrun eval` from Python: `ptrun.eval("outputs/latest", split="val", dataset={"path": "new.csv"})`.

    Settings are those of conf/eval.yaml (split, output_dir, plots, plugins) and changes of the stored configuration.
    Without a checkpoint, `weights` names a file from elsewhere, and settings are those of a training run:
    `ptrun.eval(weights="resnet20.th", model="resnet_cifar", dataset="cifar10")`.
    Returns the folder of the evaluation and its metrics. Raises ptrun.errors.PtrunError.
    """
    if checkpoint is None and "weights" in settings:
        return _eval_weights(overrides, settings, config_dir, quiet)
    named = {} if checkpoint is None else {"checkpoint": checkpoint}
    own, changes, folders = _settings("eval", overrides, config_dir, {**named, **settings})

    from ptrun.device.caller_state import preserve_caller_state
    from ptrun.runs import evaluate

    command = ["ptrun", "eval", str(checkpoint), *overrides]
    request = evaluate.EvalRequest(**own, changes=changes, command=command, folders=folders, quiet=quiet)
    with preserve_caller_state():
        return evaluate.run(request)


def sweep(
    *overrides: str,
    axes: Mapping[str, str | Sequence[Any]] | None = None,
    config_dir: str | None = None,
    quiet: bool = False,
    **settings: Any,
) -> SweepResult:
    """Run `ptrun train -m` from Python: `ptrun.sweep("model=convnet,simplenet", axes={"seed": range(3)})`.

    axes: key → its values, or a text in the grammar of the command line, as "tag(log, interval(1e-4, 1e-1))".
    Other settings are given as for `ptrun.train`, those of the sweep as `sweep={"name": "tpe", "trials": 20}`.
    Returns the table of the jobs as records. Raises ptrun.errors.PtrunError.
    """
    from ptrun.config.compose import Composer
    from ptrun.config.folders import conf_folders
    from ptrun.config.override_text import axis_texts, override_texts
    from ptrun.device.caller_state import preserve_caller_state
    from ptrun.sweeps import session
    from ptrun.sweeps.result import sweep_result

    words = [*overrides, *override_texts(settings), *axis_texts(axes or {})]
    composer = Composer("train", conf_folders(config_dir))
    with preserve_caller_state():
        finished = session.run(composer, words, ["ptrun", "train", "-m", *words], quiet)
    return sweep_result(finished.folder)


def compare(*runs: str | os.PathLike[str], output_dir: str = "outputs") -> Comparison:
    """Run `ptrun compare` from Python: what differs between two or more runs, in settings and metrics.

    A run is its folder, "latest" for the newest one in `output_dir`, or a sweep for its best run; a job of a sweep is
    the folder within that of the sweep. Raises ptrun.errors.PtrunError.
    """
    from ptrun.runs.compare import compare as compare_runs

    return compare_runs([os.fspath(run) for run in runs], output_dir)


def _eval_weights(
    overrides: tuple[str, ...], settings: Mapping[str, Any], config_dir: str | None, quiet: bool
) -> EvalResult:
    from ptrun.config.compose import Composer
    from ptrun.config.folders import conf_folders
    from ptrun.config.override_text import override_texts
    from ptrun.config.overrides import parse_values
    from ptrun.config.verb_settings import split_settings
    from ptrun.runs.start_weights import config_of_weights

    words = [*overrides, *override_texts(settings)]
    composer = Composer("train", conf_folders(config_dir))
    config = config_of_weights(words, composer)
    own, _ = split_settings("eval", {**parse_values(words), "checkpoint": str(config.weights)})

    from ptrun.device.caller_state import preserve_caller_state
    from ptrun.runs import evaluate, evaluate_weights

    command = ["ptrun", "eval", *words]
    request = evaluate.EvalRequest(**own, changes={}, command=command, folders=composer.folders, quiet=quiet)
    with preserve_caller_state():
        return evaluate_weights.run(request, config)


def load(
    checkpoint: Checkpoint,
    *overrides: str,
    ensemble: bool = False,
    plugins: Sequence[str] = (),
    config_dir: str | None = None,
    **settings: Any,
) -> LoadedModel:
    """A trained model that predicts: `ptrun.load("outputs/latest").predict("photo.jpg")`.

    checkpoint: a checkpoint file or a run folder; the predictions of several are averaged, as with `ensemble` those of
        all runs of a sweep. Settings of dataset, transform, device or train replace the stored ones.
    Raises ptrun.errors.PtrunError.
    """
    from ptrun.runs.prediction import loaded_model
    from ptrun.runs.trained_model import Changes

    # Workers that are forked by a program with threads may hang, so files are read by this process.
    changes, folders = _changes(overrides, config_dir, {"train.num_workers": 0, **settings})
    _import_plugins(plugins)
    return loaded_model.load(_paths(checkpoint), Changes(changes, plugins, folders), ensemble=ensemble)


def predict(
    checkpoint: Checkpoint,
    input: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *overrides: str,
    config_dir: str | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Predicted:
    """Run `ptrun predict` from Python: predictions for files, written to a file.

    Settings are those of conf/predict.yaml (output, what, top_k, ...) and changes of the stored configuration. For
    results in memory use `ptrun.load(checkpoint).predict(inputs)`. Raises ptrun.errors.PtrunError.
    """
    named = {"checkpoint": _paths(checkpoint), "input": _paths(input)}
    own, changes, folders = _settings("predict", overrides, config_dir, {**named, **settings})

    from ptrun.device.caller_state import preserve_caller_state
    from ptrun.runs.prediction import predict as command
    from ptrun.runs.trained_model import Changes

    plugins = own.pop("plugins")
    request = command.PredictRequest(**own, changes=Changes(changes, plugins, folders), quiet=quiet)
    with preserve_caller_state():
        return command.run(request)


def _paths(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> str | list[str]:
    """Paths as texts. Raises ConfigError for values of another kind, such as an array."""
    if isinstance(paths, str | os.PathLike):
        return os.fspath(paths)
    if isinstance(paths, list | tuple) and all(isinstance(path, str | os.PathLike) for path in paths):
        return [os.fspath(path) for path in paths]

    from ptrun.errors import ConfigError

    raise ConfigError(
        f"expected a path or a list of paths, got {type(paths).__name__}. Images, arrays, rows and data frames are "
        "predicted by ptrun.load(checkpoint).predict(inputs)."
    )


def _settings(
    verb: str, overrides: Sequence[str], config_dir: str | None, settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], tuple[Path, ...]]:
    """A verb's own settings, the changes of a stored configuration, and the folders of YAML files; imports plugins."""
    from ptrun.config.verb_settings import split_settings

    changes, folders = _changes(overrides, config_dir, settings)
    own, changes = split_settings(verb, changes)
    _import_plugins(own["plugins"])
    return own, changes, folders


def _changes(
    overrides: Sequence[str], config_dir: str | None, settings: dict[str, Any]
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Dotted key → value of settings in both forms, and the folders of YAML files."""
    from ptrun.config.folders import conf_folders
    from ptrun.config.override_text import flat_settings
    from ptrun.config.overrides import parse_values

    return {**parse_values(overrides), **flat_settings(settings)}, conf_folders(config_dir)


def _import_plugins(plugins: Sequence[str]) -> None:
    from ptrun.config.load import import_components

    import_components(plugins)
