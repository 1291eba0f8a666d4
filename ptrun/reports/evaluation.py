"""Which pictures an evaluation gets, decided from the files in its folder.

Invariant: reads nothing but that folder; a picture whose data are absent is left out.
"""

from __future__ import annotations

import json
from pathlib import Path

from ptrun.reports.classification import draw_confusion, draw_per_class, draw_samples
from ptrun.reports.regression import draw_forecast, draw_predicted_vs_true, read_predictions


def draw_evaluation(folder: Path, plots_dir: Path) -> list[Path]:
    """Draw what `metrics.json`, `predictions.csv` and `samples.npz` of an evaluation `folder` tell.

    Classes: confusion_matrix.png and per_class.png. Numbers: forecast.png for forecasts, predicted_vs_true.png for
    the rest. Images: sample_predictions.png. Returns the files written into `plots_dir`.
    """
    source = folder / "metrics.json"
    if not source.is_file():
        return []
    document = json.loads(source.read_text(encoding="utf-8"))
    written: list[Path] = []
    if document.get("confusion_matrix"):
        written.append(draw_confusion(document, plots_dir / "confusion_matrix.png"))
    if document.get("per_class"):
        written.append(draw_per_class(document, plots_dir / "per_class.png"))
    if (folder / "samples.npz").is_file():
        written += draw_samples(folder / "samples.npz", document, plots_dir / "sample_predictions.png")
    if document.get("task") == "regression" and (folder / "predictions.csv").is_file():
        predictions = read_predictions(folder / "predictions.csv")
        if len(predictions.samples) and predictions.names:
            forecast = bool(document.get("horizon"))
            name = "forecast.png" if forecast else "predicted_vs_true.png"
            draw = draw_forecast if forecast else draw_predicted_vs_true
            written.append(draw(predictions, document, plots_dir / name))
    return written
