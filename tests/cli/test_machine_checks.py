"""The checks of `ptrun doctor`: a device that computes wrongly, or a check that breaks, is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ptrun.cli import machine_checks
from ptrun.cli.machine_checks import Report
from ptrun.device.runtime import Runtime


def test_a_cpu_that_computes_correctly():
    report, cpu = Report(), Runtime(torch.device("cpu"))
    for check in (machine_checks.check_tensors, machine_checks.check_autograd):
        report.run(check, cpu)
    assert report.failures == []
    assert report.facts["compute"]["tensor"] == ("float32 [2, 3] on cpu: column sums are right", True)
    assert report.facts["compute"]["autograd"][1] is True


def test_a_device_that_computes_nothing_is_noticed():
    report, meta = Report(), Runtime(torch.device("meta"))  # torch's device for shapes without values
    report.run(machine_checks.check_tensors, meta)
    report.run(machine_checks.check_autograd, meta)
    assert len(report.failures) == 2
    assert report.failures[0].startswith("Could not check tensors: ")


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine_checks, "_NEEDED", ("torch", "no-such-package"))
    report = Report()
    report.run(machine_checks.list_versions)
    assert report.failures == [
        "The package 'no-such-package' is not installed. Install it with: pip install no-such-package"
    ]
    assert "torch" in report.facts["versions"]


def test_a_disk_that_is_nearly_full_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine_checks, "_MIN_DISK_BYTES", 1 << 62)
    report = Report()
    report.run(machine_checks.measure_room, tmp_path / "not" / "yet")
    assert "checkpoints may not fit" in report.warnings[0]
    assert report.facts["room"]["disk write"][1] > 0
    assert list(tmp_path.iterdir()) == []
