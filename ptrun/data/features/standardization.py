"""How the data sets shipped here scaled their features, read from what they learned from the training samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptrun.data.features import columns


def feature_scaling(fitted: Mapping[str, Any], num_features: int) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation of each feature of a vector or of a time step; None when nothing was scaled.

    fitted: what the data set keeps in a checkpoint. Features after the last scaled one, such as those of a calendar,
    are as they were: mean 0, standard deviation 1.
    """
    if "mean" in fitted:
        mean, std = list(fitted["mean"]), list(fitted["std"])
    elif "columns" in fitted:
        mean, std = columns.standardization(fitted["columns"])
    else:
        return None
    rest = num_features - len(mean)
    return [*mean, *[0.0] * rest], [*std, *[1.0] * rest]
