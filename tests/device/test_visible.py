"""GPUs are counted without a library, as CUDA_VISIBLE_DEVICES or the files of the driver name them."""

from __future__ import annotations

from pathlib import Path

from ptrun.device.visible import VISIBLE, gpu_ids


def test_the_variable_decides(tmp_path: Path):
    (tmp_path / "nvidia0").touch()
    assert gpu_ids("auto", {VISIBLE: "2, GPU-a"}, tmp_path) == ["2", "GPU-a"]
    assert gpu_ids("auto", {VISIBLE: ""}, tmp_path) == []
    assert gpu_ids("auto", {VISIBLE: "-1"}, tmp_path) == []


def test_without_it_all_of_the_machine_are_visible(tmp_path: Path):
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpu_ids("cuda", {}, tmp_path) == ["2", "10"]
    assert gpu_ids("cpu", {}, tmp_path) == []
