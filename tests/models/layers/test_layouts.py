"""A model that is given data of another layout says so, with the shape and what to do."""

from __future__ import annotations

import pytest

from ptrun.errors import ConfigError
from ptrun.models.layers.layouts import require_layout
from ptrun.spec import DataSpec, Layout, Task

SPEC = DataSpec(layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(13,), num_outputs=1)


def test_the_layout_that_the_model_reads_passes():
    require_layout(SPEC, "simplenet", Layout.VECTOR)


def test_another_layout_is_refused():
    with pytest.raises(ConfigError) as caught:
        require_layout(SPEC, "convnet", Layout.IMAGE)
    assert caught.value.problems[0].startswith(
        "model=convnet reads images, but the data set gives rows of features of shape [13]. "
        "Choose a model that reads rows of features (`ptrun list models` shows which)"
    )
