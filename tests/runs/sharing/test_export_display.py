"""What `ptrun export` prints, and that the lines of code it ends with run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import Ended

Call = Callable[..., Ended]


def printed_snippet(out: str) -> str:
    """The lines of code at the end."""
    return "\n".join(line.strip() for line in out.partition("\nUse it\n")[2].splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(("format", "result"), [("onnx", "probabilities"), ("torch_export", "probabilities")])
def test_the_lines_of_code_run(folder: Path, ptrun: Call, format: str, result: str):
    assert ptrun("train", "model=simplenet", "train.epochs=1", "-q").code == 0
    ended = ptrun("export", "outputs/latest", f"format={format}")
    assert ended.code == 0, ended.err
    images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
    names: dict[str, Any] = {"images": images.numpy() if format == "onnx" else images}
    code = printed_snippet(ended.out)
    assert len(code.splitlines()) == 3
    exec(code, names)  # noqa: S102
    assert tuple(names[result].shape) == (5, 10)


def test_weights_are_counted_and_can_be_loaded(folder: Path, ptrun: Call):
    assert ptrun("train", "model=simplenet", "model.hidden_features=[16]", "train.epochs=1", "-q").code == 0
    ended = ptrun("export", "outputs/latest", "format=safetensors", "precision=bf16")
    assert "weights     4 tensors, 1,210 numbers" in ended.out
    assert "Weights rounded to bf16: logits change by up to " in ended.out
    assert "equal to the checkpoint with its weights rounded to bf16" in ended.out
    assert 'load_file("simplenet-digits.safetensors")' in printed_snippet(ended.out)


@pytest.mark.parametrize(
    ("setting", "note"),
    [
        ("train.eval_views=flip", "The file averages over views of an image, as evaluation does."),
        ("device.precision=bf16", "The training computed in bf16; the file, and what it is compared with,"),
    ],
)
def test_what_a_user_would_not_expect_is_said(folder: Path, ptrun: Call, setting: str, note: str):
    assert ptrun("train", "model=simplenet", setting, "train.epochs=1", "train.max_steps=2", "-q").code == 0
    ended = ptrun("export", "outputs/latest", "format=safetensors")
    assert ended.code == 0, ended.err
    assert note in ended.out


def test_quiet_prints_nothing(folder: Path, ptrun: Call):
    assert ptrun("train", "model=simplenet", "train.epochs=1", "train.max_steps=2", "-q").code == 0
    ended = ptrun("export", "outputs/latest", "format=safetensors", "-q")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
