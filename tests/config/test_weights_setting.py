"""The model's own setting for weights names a file or published weights."""

from __future__ import annotations

from pathlib import Path

from support import run_config

from ptrun.config.weights_setting import file_of_model, model_takes_names


def test_a_file_and_a_name():
    assert file_of_model(run_config("model=transfer", "model.weights=a/b.pth")) == Path("a/b.pth")
    assert file_of_model(run_config("model=transfer", "model.weights=DEFAULT")) is None
    assert file_of_model(run_config("model=transfer", "model.weights=null")) is None


def test_which_models_have_published_weights():
    assert model_takes_names(run_config("model=torchvision"))
    assert not model_takes_names(run_config("model=convnet", "weights=a.pt"))
