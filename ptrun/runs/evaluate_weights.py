"""`ptrun eval model=NAME weights=FILE`: evaluates weights that ptrun has not trained.

The model and the data are built from settings, as for a training run, because the file has nothing but tensors.
"""

from __future__ import annotations

from pathlib import Path

from ptrun.build.auto import check_pair, resolve_auto, resolve_before_data
from ptrun.build.data import prepare
from ptrun.build.evaluation import build_trained_model
from ptrun.build.model import load_start_weights
from ptrun.build.run import build_runtime
from ptrun.config.run_config import RunConfig
from ptrun.errors import CheckpointError
from ptrun.plugins import attribute_plugin_errors
from ptrun.runs.evaluate import EvalRequest, EvalResult, Subject, evaluate_subject


def run(request: EvalRequest, config: RunConfig) -> EvalResult:
    """Evaluate and write everything. Raises PtrunError.

    config: of a training run whose `weights` is the file.
    """
    config, _ = resolve_before_data(config, request.folders)
    with attribute_plugin_errors(config.model.name):
        return evaluate_subject(request, _build(request, config))


def _build(request: EvalRequest, config: RunConfig) -> Subject:
    """The model with the weights of the file. Raises CheckpointError when the file lacks the outputs of these data."""
    runtime = build_runtime(config)  # sets the number of threads, with which the data are read too
    prepared = prepare(config, None, [request.split])
    spec = prepared.spec
    config, _ = resolve_auto(config, spec, request.folders)
    check_pair(config, spec, request.folders)
    model, runtime = build_trained_model(config, spec, runtime)
    loaded = load_start_weights(config, model, spec)
    path = Path(request.checkpoint)
    if loaded.new_head:
        raise CheckpointError(
            f"{path}: fits the model but for its head, which gives the {spec.num_outputs} outputs of these data "
            f"({loaded.new_head}). Choose data of the same classes, or train the head: `ptrun train` takes the same "
            "settings."
        )
    notes = (loaded.sentence, *getattr(model, "notes", ()), *prepared.notes)
    receipt = {"weights": str(path.resolve())}
    return Subject(config, prepared, spec, model.eval(), runtime, notes, ("weights", str(path)), receipt)
