"""What a quantized model is worth: its main metric beside that of the model it was made from."""

from __future__ import annotations

from ptrun.errors import ExportError
from ptrun.metrics import compute
from ptrun.metrics.predictions import Predictions
from ptrun.spec import Task
from ptrun.terminal.format import format_metric

# Quantized linear layers cost a few tenths of a percent. A file that loses far more is broken for its data.
MOST_LOST_ACCURACY = 0.05
MOST_GROWN_ERROR = 1.2  # of the RMSE, as a factor


def require_quality(quantized: Predictions, exact: Predictions, split: str) -> str:
    """A sentence with both values. Raises ExportError when the quantized model is far worse."""
    metric = compute.primary_metric(exact.spec.task)
    now, before = (compute.compute([metric], predictions)[0].get(metric) for predictions in (quantized, exact))
    in_words = f"int8 {format_metric(metric, now)}, fp32 {format_metric(metric, before)}"
    sentence = f"{metric} on the {split} split ({len(exact.targets):,} samples): {in_words}."
    if now is None or before is None or _is_far_worse(now, before, exact.spec.task):
        raise ExportError(
            f"The model does not bear int8: {sentence} It was not kept. Use precision=fp16, which halves the file too."
        )
    return sentence


def _is_far_worse(now: float, before: float, task: Task) -> bool:
    if task is Task.CLASSIFICATION:
        return before - now > MOST_LOST_ACCURACY
    return now > MOST_GROWN_ERROR * before
