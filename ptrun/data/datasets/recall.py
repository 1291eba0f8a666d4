"""The `recall` data set: made sequences, in which the first symbol has to be remembered until the end.

How far a model can reach back is the length, which is a setting, and nothing else makes the task difficult.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ptrun.data.dataset import Data
from ptrun.data.division import divide
from ptrun.data.duplicates import keys_of_arrays
from ptrun.data.partition import Indices, record
from ptrun.data.samples import Samples
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task


@datasets.register
def recall(
    *,
    fitted: Mapping[str, Any] | None = None,
    length: int = 32,
    num_symbols: int = 8,
    num_sequences: int = 4000,
    seed: int = 0,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """Sequences of independent symbols, one-hot [length, num_symbols]; the class is the first symbol.

    A task of long time lags as those of Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), sections 5.2 and
    5.3. More sequences leave the first ones as they are.
    """
    symbols = np.random.default_rng(seed).integers(num_symbols, size=(num_sequences, length))
    classes, names = symbols[:, 0], tuple(map(str, range(num_symbols)))
    spec = DataSpec(
        layout=Layout.SEQUENCE,
        task=Task.CLASSIFICATION,
        input_shape=(length, num_symbols),
        num_outputs=num_symbols,
        class_names=names,
    )
    samples = Samples(
        num_sequences, "sequences", lambda position: f"row {position}", classes, names, classes, keys_of_arrays(symbols)
    )
    parts = divide(samples, splitting)
    inputs = np.eye(num_symbols, dtype=np.float32)[symbols]

    def split(rows: Indices) -> TensorSplit:
        return TensorSplit(torch.from_numpy(inputs[rows]), torch.from_numpy(classes[rows]), torch.from_numpy(rows))

    by_part = [(part, getattr(parts, part), classes[getattr(parts, part)]) for part in ("train", "val", "test")]
    # As the scaler of other sequences, so that `ptrun predict` reads new ones: one-hot values stay as they are.
    unscaled = {"class_names": list(names), "mean": [0.0] * num_symbols, "std": [1.0] * num_symbols, "length": length}
    return Data(
        spec=spec,
        train=split(parts.train),
        val=split(parts.val),
        test=split(parts.test),
        fitted=unscaled,
        notes=parts.notes,
        record=record(parts, by_part, names, splitting),
    )
