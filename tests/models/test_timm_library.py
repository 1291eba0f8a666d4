"""Names of networks and weights are checked without a download; timm is an extra."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from ptrun.errors import ConfigError, DataError
from ptrun.models.timm_library import create, expected_by, require_readable


def test_what_a_network_expects():
    expected = expected_by("vit_tiny_patch16_224")
    assert (expected.side, expected.fixed, expected.heads) == ((224, 224), True, ("head",))
    assert not expected_by("resnet18").fixed
    assert expected_by("deit_tiny_distilled_patch16_224").heads == ("head", "head_dist")


def test_statistics_follow_the_tag():
    tagged = get_pretrained_cfg("vit_base_patch16_clip_224.openai")
    assert expected_by("vit_base_patch16_clip_224", "openai").mean == tuple(tagged.mean)


@pytest.mark.parametrize(
    ("arch", "weights", "sentence"),
    [
        ("resnt18", None, "timm has no network 'resnt18'. Did you mean 'resnet18'"),
        ("hf-hub:timm/resnet18", None, "timm has no network 'hf-hub:timm/resnet18'"),
        (
            "test_resnet",
            "r160_in2k",
            "no weights 'r160_in2k' of test_resnet. Did you mean 'r160_in1k'? It has: r160_in1k",
        ),
    ],
)
def test_unknown_names(arch: str, weights: str | None, sentence: str):
    with pytest.raises(ConfigError) as caught:
        expected_by(arch, weights)
    assert sentence in str(caught.value)


def test_without_a_network_a_file_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"test_resnet of timm can't be downloaded .* model\.weights=FILE"):
        create("test_resnet", "DEFAULT", 4, 3, None)


def test_a_refusal_without_words_is_told_by_its_type():
    class Refusing(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise AssertionError

    with pytest.raises(ConfigError, match=r"test_vit can't read images of 8x8 pixels \(AssertionError\)"):
        require_readable(Refusing(), "test_vit", torch.zeros(1, 3, 8, 8))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r'pip install "ptrun\[timm\]"'):
        expected_by("resnet18")


@pytest.mark.slow
def test_timm_is_imported_only_when_it_is_asked_for():
    code = "import sys, ptrun.catalog; sys.exit('timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
