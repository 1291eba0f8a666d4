"""A quantized model is kept when it is about as good as the exact one."""

from __future__ import annotations

import numpy as np
import pytest
from support import forecast_spec

from ptrun.errors import ExportError
from ptrun.export.quality import require_quality
from ptrun.metrics.predictions import Predictions
from ptrun.spec import DataSpec, Layout, Task

CLASSES = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(4,), num_outputs=2)
TARGETS = np.arange(100) % 2


def classes(num_wrong: int) -> Predictions:
    values = TARGETS.copy()
    values[:num_wrong] ^= 1
    return Predictions(CLASSES, TARGETS, values, np.eye(2)[values])


def numbers(error: float) -> Predictions:
    return Predictions(forecast_spec(num_outputs=1), np.zeros((10, 1)), np.full((10, 1), error))


def test_both_values_are_in_the_sentence():
    assert require_quality(classes(3), classes(1), "val") == (
        "accuracy on the val split (100 samples): int8 97.00 %, fp32 99.00 %."
    )
    assert require_quality(numbers(1.1), numbers(1.0), "test").startswith(
        "rmse on the test split (10 samples): int8 1.1"
    )
    assert require_quality(classes(0), classes(9), "val"), "better is fine"


@pytest.mark.parametrize(
    ("quantized", "exact"), [(classes(8), classes(1)), (numbers(1.5), numbers(1.0)), (numbers(np.nan), numbers(1.0))]
)
def test_a_far_worse_model_is_refused(quantized: Predictions, exact: Predictions):
    with pytest.raises(ExportError, match=r"The model does not bear int8: .* It was not kept"):
        require_quality(quantized, exact, "val")
