"""`ptrun export`: its settings. What it writes is tested in tests/runs/sharing/test_export.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import Ended

Call = Callable[..., Ended]


def test_without_arguments_it_prints_its_help(ptrun: Call):
    assert ptrun("export").out == ptrun("export", "--help").out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("format=onnx",), "checkpoint: a value is needed"),
        (("x.pt",), "format: a value is needed"),
        (("x.pt", "format=tflite"), "format: expected onnx or torch_export or safetensors, got 'tflite'."),
        (("x.pt", "format=onnx", "precision=int4"), "precision: expected fp32 or fp16 or bf16 or int8, got 'int4'."),
        (("x.pt", "format=onnx", "with_preprocessing=maybe"), "with_preprocessing: expected true or false or auto"),
        (("x.pt", "format=torch_export", "precision=int8"), "format=torch_export can't store int8"),
        (("x.pt", "format=onnx", "output=a.pt2"), "output: expected a name that ends in .onnx"),
        (("x.pt", "y.pt", "format=onnx"), "ptrun export: expected one checkpoint, got 2: x.pt y.pt."),
        (("x.pt", "--format", "onnx"), "ptrun export: there is no flag --format."),
    ],
)
def test_mistakes_end_with_2(ptrun: Call, words: tuple[str, ...], sentence: str):
    ended = ptrun("export", *words)
    assert ended.code == 2
    assert sentence in ended.err


def test_a_missing_checkpoint_ends_with_4(ptrun: Call):
    ended = ptrun("export", "gone.pt", "format=onnx")
    assert ended.code == 4
    assert "gone.pt: there is no such file" in ended.err


def test_a_mistake_is_answered_before_torch_is_imported(process: Call):
    ended = process("export", "x.pt", "format=torch_export", "precision=int8", PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 2
    modules = {line.rsplit("|", 1)[-1].strip() for line in ended.err.splitlines() if line.startswith("import time:")}
    assert "ptrun.export.formats" in modules
    assert not modules & {"torch", "onnx", "onnxruntime"}


def test_a_setting_that_an_export_can_not_change(ptrun: Call):
    assert ptrun("train", "model=simplenet", "train.epochs=1", "train.max_steps=2", "-q").code == 0
    for setting in ("device=cuda", "device.precision=bf16"):
        ended = ptrun("export", "outputs/latest", "format=safetensors", setting)
        assert ended.code == 2
        assert "can't be set for an export, which computes on the CPU in fp32" in ended.err
