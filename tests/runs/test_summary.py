"""The summary agrees with the records and the test results of its run."""

from __future__ import annotations

import json
from pathlib import Path

from support import train


def test_the_summary_holds_the_best_epoch_and_the_test_results(folder: Path):
    result = train("model=simplenet", "train.epochs=3", "train.monitor=val/accuracy", quiet=True)
    summary = json.loads((result.run_dir / "summary.json").read_text())
    records = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    best = max(records, key=lambda record: (record["val/accuracy"], -record["val/loss"]))
    assert (summary["epochs"], summary["steps"]) == (3, records[-1]["step"])
    assert (summary["best_epoch"], summary["best_value"]) == (best["epoch"], best["val/accuracy"])
    assert (summary["monitor"], summary["higher_is_better"]) == ("val/accuracy", True)
    assert result.value == summary["best_value"]
    document = json.loads((result.run_dir / "test" / "metrics.json").read_text())
    assert summary["test"] == {"loss": document["loss"], **document["metrics"]}
    assert abs(sum(summary["time_percent"].values()) - 100) < 1


def test_decisions_are_recorded_as_requested_and_used(folder: Path):
    result = train("model=simplenet", "train.epochs=1", quiet=True)
    receipt = json.loads((result.run_dir / "receipt.json").read_text())
    assert {"setting": "loss", "requested": "auto", "used": "cross_entropy"} in receipt["decisions"]
