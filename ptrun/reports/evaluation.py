"""Draws the pictures of an evaluation, as many as the files in its folder allow."""

from __future__ import annotations

import json
from pathlib import Path

from ptrun.reports.classification import draw_confusion, draw_per_class, draw_samples
from ptrun.reports.regression import draw_forecast, draw_predicted_vs_true, read_predictions

# The files of an evaluation (ptrun/evaluation/results.py writes them), from which alone its pictures are made.
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
SAMPLES_FILE = "samples.npz"


def draw_evaluation(folder: Path, plots_dir: Path) -> list[Path]:
    """Draw the evaluation in `folder`. Returns the files written into `plots_dir`.

    Classes: confusion_matrix.png and per_class.png. Numbers: forecast.png for forecasts, else predicted_vs_true.png.
    Images: sample_predictions.png.
    """
    source = folder / METRICS_FILE
    if not source.is_file():
        return []
    document = json.loads(source.read_text(encoding="utf-8"))
    written: list[Path] = []
    if document.get("confusion_matrix"):
        written.append(draw_confusion(document, plots_dir / "confusion_matrix.png"))
    if document.get("per_class"):
        written.append(draw_per_class(document, plots_dir / "per_class.png"))
    samples = folder / SAMPLES_FILE
    if samples.is_file():
        written += draw_samples(samples, document, plots_dir / "sample_predictions.png")
    table = folder / PREDICTIONS_FILE
    if document.get("task") == "regression" and table.is_file():
        predictions = read_predictions(table)
        if len(predictions.samples) and predictions.names:
            if document.get("horizon"):
                written.append(draw_forecast(predictions, document, plots_dir / "forecast.png"))
            else:
                written.append(draw_predicted_vs_true(predictions, document, plots_dir / "predicted_vs_true.png"))
    return written
