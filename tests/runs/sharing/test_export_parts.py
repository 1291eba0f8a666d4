"""What is expected of a file is what an evaluation of the checkpoint gives."""

from __future__ import annotations

import csv
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import torch
from support import train

from ptrun.config import schema
from ptrun.config.folders import shipped_conf
from ptrun.runs.sharing.export_parts import ExportRequest, expected_outputs, metadata_of, prepare_export, rounded


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short training on rows of numbers."""
    folder = tmp_path_factory.mktemp("runs")
    return train(
        "dataset=breast_cancer", "train.epochs=1", "device.threads=1", f"output_dir={folder}", quiet=True
    ).run_dir


def test_expected_probabilities_are_those_of_the_evaluation(cancer: Path):
    parts = prepare_export(ExportRequest(str(cancer), "onnx"))
    assert parts.samples.prepared is not None
    test = parts.samples.prepared.data.test
    samples = torch.stack([test.read(index) for index in range(len(test))])
    probabilities = expected_outputs(parts.original, parts.inputs, samples)["probabilities"]
    with (cancer / "test" / "predictions.csv").open(newline="") as file:
        confidences = [float(row["confidence"]) for row in csv.DictReader(file)]
    assert probabilities.amax(1).numpy() == pytest.approx(confidences, abs=2e-6)
    served = parts.served(parts.inputs.from_samples(samples))["probabilities"]
    assert served.detach().numpy() == pytest.approx(probabilities.numpy(), abs=1e-6)


def test_samples_come_from_the_test_split(cancer: Path):
    parts = prepare_export(ExportRequest(str(cancer), "onnx"))
    assert parts.samples.origin == "70 samples of the test split of breast_cancer"
    assert parts.raw_samples.dtype is torch.float64
    assert len(parts.raw_samples) == 70


def test_rounded_weights_leave_the_original_alone(cancer: Path):
    parts = prepare_export(ExportRequest(str(cancer), "onnx"))
    before = {name: tensor.clone() for name, tensor in parts.original.network.state_dict().items()}
    short = rounded(parts.original, torch.bfloat16)
    after = parts.original.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for name, tensor in short.network.state_dict().items():
        assert torch.equal(tensor, before[name].bfloat16().float())
    assert rounded(parts.original, torch.float32) is parts.original


def test_the_yaml_file_has_the_settings_and_their_defaults():
    keys = schema.read(shipped_conf() / "export.yaml").keys
    settings = {each.name: each for each in fields(ExportRequest) if each.name not in ("changes", "folders", "quiet")}
    assert set(keys) == set(settings)
    for name, key in keys.items():
        assert key.meaning, name
        default = settings[name].default
        assert key.required if default is MISSING else (key.default or None) == (default or None), name


def test_metadata_are_texts_that_name_no_place_on_this_machine(cancer: Path):
    metadata = metadata_of(prepare_export(ExportRequest(str(cancer), "safetensors", license="MIT")))
    assert all(isinstance(value, str) for value in metadata.values())
    assert str(cancer) not in str(metadata)
    assert (metadata["license"], metadata["precision"], metadata["outputs"]) == ("MIT", "fp32", "{}")
