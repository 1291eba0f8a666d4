"""What differs between runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import make_sweep, run_config

import ptrun
from ptrun.errors import CheckpointError, ConfigError
from ptrun.runs.compare import compare
from ptrun.runs.folder import RunDir

PRINTS = {"train": "1", "val": "2", "test": "3"}


def make_run(folder: Path, accuracy: float, *words: str, data: dict[str, str] = PRINTS, torch: str = "2.15.0") -> Path:
    run = RunDir(folder)
    run.path.mkdir(parents=True)
    run.write_status("done")
    (folder / "resolved.yaml").write_text(yaml.safe_dump(run_config(*words).to_dict()))
    run.write_json("receipt.json", {"packages": {"torch": torch}, "data": data})
    summary = {"monitor": "val/accuracy", "best_value": accuracy, "best_epoch": 2, "epochs": 3, "steps": 30}
    run.write_json("summary.json", {**summary, "test": {"accuracy": accuracy / 2}, "parameters": 100})
    records = [{"epoch": epoch, "step": epoch, "val/accuracy": accuracy if epoch == 2 else 0.1} for epoch in (1, 2, 3)]
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def test_settings_and_metrics_that_differ(folder: Path):
    first = make_run(folder / "a", 0.8, "model=simplenet", "optimizer.lr=0.1")
    second = make_run(folder / "b", 0.9, "model=convnet", "optimizer.lr=0.1", "plots=false", "label=new")
    found = compare([str(first), str(second / "checkpoints" / "..")], "outputs")
    assert found.settings["model.name"] == ["simplenet", "convnet"]
    assert found.settings["model.dropout"] == [None, 0.5]
    assert "optimizer.lr" not in found.settings
    assert "plots" not in found.settings
    assert found.metrics == {"val/accuracy": [0.8, 0.9], "test/accuracy": [0.4, 0.45]}
    assert found.environment == {}
    assert found.notes == ["Settings that change no result differ, too: label, plots."]
    keys = [key.partition(".")[0] for key in found.settings]
    assert keys == sorted(keys, key=keys.index)


def test_three_runs_of_different_data_and_versions(folder: Path):
    runs = [
        make_run(folder / "a", 0.8, "dataset=digits"),
        make_run(folder / "b", 0.9, "dataset=digits", torch="2.11.0"),
        make_run(folder / "c", 0.9, "dataset=iris", data={**PRINTS, "test": "other"}),
    ]
    found = ptrun.compare(*runs)
    assert found.settings["dataset.name"] == ["digits", "digits", "iris"]
    assert found.environment == {"packages.torch": ["2.15.0", "2.11.0", "2.15.0"]}
    assert found.notes == ["The runs have different samples in: test. Compare metrics of different samples with care."]
    assert "3 runs" in repr(found)
    assert "iris" in found._repr_html_()
    document = json.loads(json.dumps(found.to_dict()))
    assert document["metrics"]["val/accuracy"] == [0.8, 0.9, 0.9]
    rows = {row["key"]: row for row in csv.DictReader(io.StringIO(found.to_csv()))}
    assert rows["val/accuracy"][str(runs[0])] == "0.8"


def test_how_runs_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    sweep = make_sweep(folder / "outputs" / "day" / "sw", ["seed=0", "seed=1"], [0.5, 0.7])
    configs: dict[str, Any] = {}
    for job in "01":
        configs[job] = run_config(f"seed={job}").to_dict()
        (sweep / job / "resolved.yaml").write_text(yaml.safe_dump(configs[job]))
    (folder / "outputs" / "latest").symlink_to(sweep)
    found = compare(["latest", str(sweep / "0")], "outputs")
    assert [path.name for path in found.runs] == ["1", "0"]
    assert found.settings == {"seed": [1, 0]}
    assert found.notes[0].startswith("latest: The best run of the best configuration of this sweep")
    same = compare([str(sweep / "0"), str(sweep / "0")], "outputs")
    assert (same.settings, same.notes) == ({}, ["The same run is named more than once."])


def test_a_run_that_is_not_done_has_the_best_so_far(folder: Path):
    runs = [make_run(folder / name, value) for name, value in (("a", 0.8), ("b", 0.9))]
    (runs[1] / "summary.json").unlink()
    records = [{"epoch": 1, "step": 1, "val/accuracy": 0.3, "best": True}, {"epoch": 2, "step": 2, "val/accuracy": 0.2}]
    (runs[1] / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert ptrun.compare(*runs).metrics["val/accuracy"] == [0.8, 0.3]


def test_mistakes(folder: Path):
    run = make_run(folder / "a", 0.8)
    with pytest.raises(ConfigError, match="expected two runs or more, got 1"):
        compare([str(run)], "outputs")
    with pytest.raises(CheckpointError, match="neither a run folder nor a checkpoint in one"):
        compare([str(run), "nothing"], "outputs")
    with pytest.raises(CheckpointError, match="latest"):
        compare([str(run), "latest"], "outputs")
    (run / "resolved.yaml").write_text("{")
    with pytest.raises(CheckpointError, match="holds no configuration"):
        compare([str(run), str(run)], "outputs")
