"""Settings of the optimizer step that exclude each other are refused; others give a step of the right kind."""

from __future__ import annotations

import pytest
from support import run_config

from ptrun.build.run import build
from ptrun.errors import ConfigError

DIGITS = ("model=simplenet", "device=cpu")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("optimizer=lbfgs", "device.precision=fp16"), "device.precision: fp16 scales gradients"),
        (("device.compile=step", "device.precision=fp16"), "device.compile: 'step'"),
        (("optimizer=lbfgs", "train.on_oom=halve"), "train.on_oom: 'halve'"),
        (("optimizer=lbfgs", "train.on_nonfinite=skip"), "train.on_nonfinite: 'skip'"),
        (("checkpoint=none", "train.on_nonfinite=rollback"), "checkpoint=none saves none"),
    ],
)
def test_conflicts(overrides: tuple[str, ...], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        build(run_config(*DIGITS, *overrides))


@pytest.mark.parametrize(
    ("overrides", "rolls_back"),
    [((), False), (("optimizer=lbfgs",), False), (("train.on_nonfinite=rollback",), True)],
)
def test_only_rollback_needs_a_point_to_go_back_to(overrides: tuple[str, ...], rolls_back: bool):
    assert (build(run_config(*DIGITS, *overrides)).ctx.rollback is not None) == rolls_back


@pytest.mark.parametrize(("compile", "used"), [("none", None), ("auto", "step")])
def test_a_captured_step_is_reported(compile: str, used: str | None):
    decisions = {
        setting: value for setting, _, value in build(run_config(*DIGITS, f"device.compile={compile}")).decisions
    }
    assert decisions.get("device.compile") == used
