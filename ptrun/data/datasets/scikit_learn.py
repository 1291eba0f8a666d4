"""The small real data sets that scikit-learn ships: digits, iris, wine, breast_cancer, diabetes.

Invariant: nothing is downloaded; standardised with the statistics of the training split.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.features.labels import Floats, fit_scaler
from ptrun.data.partition import Indices, Parts, record, shuffled, stratified
from ptrun.data.splits import TensorSplit
from ptrun.registry import datasets
from ptrun.spec import DataSpec, Layout, Task


@datasets.register
def digits(
    *,
    fitted: Mapping[str, Any] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """1,797 handwritten digits, uint8 [1, 8, 8]; the 17 grey levels of the source are spread over 0 to 255.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998).
    """
    table = _digits_table()
    images = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    classes, names = table[:, 64].astype(np.int64), tuple("0123456789")
    parts = stratified(
        classes,
        names,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
        evaluating=fitted is not None,
    )
    spec = DataSpec(
        layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(1, 8, 8), num_outputs=10, class_names=names
    )
    return _data(spec, images, classes, parts, split_seed, {"class_names": list(names)})


@datasets.register
def iris(
    *,
    fitted: Mapping[str, Any] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """150 flowers of three species, 4 lengths in cm. Source: Fisher (1936)."""
    return _vectors("load_iris", fitted, val_fraction, test_fraction, split_seed)


@datasets.register
def wine(
    *,
    fitted: Mapping[str, Any] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """178 wines of three growers, 13 chemical measurements. Source: Forina et al., UCI (1991)."""
    return _vectors("load_wine", fitted, val_fraction, test_fraction, split_seed)


@datasets.register
def breast_cancer(
    *,
    fitted: Mapping[str, Any] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """569 tumours, malignant or benign, 30 measurements of cell nuclei. Source: Wolberg et al., UCI (1995)."""
    return _vectors("load_breast_cancer", fitted, val_fraction, test_fraction, split_seed)


@datasets.register
def diabetes(
    *,
    fitted: Mapping[str, Any] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Data:
    """442 patients, 10 measurements; the target is the progress of the disease after a year.

    Source: Efron et al., "Least Angle Regression" (2004). Columns in their own units before they are standardised here.
    """
    import sklearn.datasets

    bunch = sklearn.datasets.load_diabetes(scaled=False)
    parts = shuffled(
        len(bunch.target),
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
        evaluating=fitted is not None,
    )
    known = dict(fitted) if fitted else _fit(bunch.data, bunch.target[:, None], parts.train)
    mean, std = np.array(known["target_mean"]), np.array(known["target_std"])
    spec = DataSpec(
        layout=Layout.VECTOR,
        task=Task.REGRESSION,
        input_shape=(bunch.data.shape[1],),
        num_outputs=1,
        target_names=("progression",),
        target_mean=tuple(mean.tolist()),
        target_std=tuple(std.tolist()),
        feature_names=tuple(bunch.feature_names),
    )
    targets = ((bunch.target[:, None] - mean) / std).astype(np.float32)
    return _data(spec, _scaled(bunch.data, known), targets, parts, split_seed, known)


def _vectors(
    loader: str, fitted: Mapping[str, Any] | None, val_fraction: float, test_fraction: float, split_seed: int
) -> Data:
    import sklearn.datasets  # Takes about a second, so only those who ask for these sets wait for it.

    bunch = getattr(sklearn.datasets, loader)()
    names, classes = tuple(map(str, bunch.target_names)), bunch.target.astype(np.int64)
    parts = stratified(
        classes,
        names,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
        evaluating=fitted is not None,
    )
    known = dict(fitted) if fitted else _fit(bunch.data, None, parts.train)
    spec = DataSpec(
        layout=Layout.VECTOR,
        task=Task.CLASSIFICATION,
        input_shape=(bunch.data.shape[1],),
        num_outputs=len(names),
        class_names=names,
        feature_names=tuple(map(str, bunch.feature_names)),
    )
    return _data(spec, _scaled(bunch.data, known), classes, parts, split_seed, known)


def _fit(features: Floats, targets: Floats | None, train: Indices) -> dict[str, Any]:
    mean, std = fit_scaler(features[train])
    known: dict[str, Any] = {"mean": mean.tolist(), "std": std.tolist()}
    if targets is not None:
        target_mean, target_std = fit_scaler(targets[train])
        known |= {"target_mean": target_mean.tolist(), "target_std": target_std.tolist()}
    return known


def _scaled(features: Floats, known: Mapping[str, Any]) -> NDArray[np.float32]:
    scores: Floats = (features - np.array(known["mean"])) / np.array(known["std"])
    return scores.astype(np.float32)


def _data(
    spec: DataSpec, inputs: NDArray[Any], targets: NDArray[Any], parts: Parts, split_seed: int, known: Mapping[str, Any]
) -> Data:
    all_inputs, all_targets = torch.from_numpy(inputs), torch.from_numpy(targets)
    splits = [
        TensorSplit(all_inputs[index], all_targets[index], index)
        for index in map(torch.from_numpy, (parts.train, parts.val, parts.test))
    ]
    classes = spec.task is Task.CLASSIFICATION
    told = record(
        "stratified" if classes else "shuffled",
        [
            (name, rows, targets[rows] if classes else None)
            for name, rows in (("train", parts.train), ("val", parts.val), ("test", parts.test))
        ],
        spec.class_names,
        split_seed,
    )
    return Data(spec=spec, train=splits[0], val=splits[1], test=splits[2], fitted=known, record=told)


def _digits_table() -> Floats:
    # The packaged file is read without importing scikit-learn: 0.05 s instead of 1 s, for the default data set.
    found = importlib.util.find_spec("sklearn")
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz" if found and found.origin else None
    if path is None or not path.is_file():  # A scikit-learn that keeps the file elsewhere knows where it is.
        import sklearn.datasets

        bunch = sklearn.datasets.load_digits()
        return np.column_stack([bunch.data, bunch.target])
    cells = gzip.decompress(path.read_bytes()).replace(b"\n", b",").rstrip(b",").split(b",")
    return np.array(cells, dtype=np.float64).reshape(-1, 65)
