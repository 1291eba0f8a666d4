"""A DataSpec goes into checkpoints as plain containers and comes back equal, also from a later version's file."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from ptrun.spec import DataSpec, Layout, Task

SPEC = DataSpec(
    layout=Layout.SEQUENCE,
    task=Task.REGRESSION,
    input_shape=(24, 3),
    num_outputs=4,
    target_names=("load +1", "price +1", "load +2", "price +2"),
    target_mean=(1.0, 2.0, 1.0, 2.0),
    target_std=(0.5, 0.25, 0.5, 0.25),
    feature_names=("load", "price", "hour"),
    horizon=2,
)


def test_a_spec_survives_json():
    assert DataSpec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC


def test_keys_of_a_later_version_are_ignored_and_missing_ones_get_defaults():
    values = SPEC.to_dict()
    del values["binary_features"]
    assert DataSpec.from_dict({**values, "invented_later": 1}) == SPEC


def test_a_spec_is_frozen_and_counts_its_features():
    assert SPEC.num_features == 72
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPEC.horizon = 3  # type: ignore[misc]


def test_a_spec_needs_no_torch():
    program = "import sys; import ptrun.spec; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
