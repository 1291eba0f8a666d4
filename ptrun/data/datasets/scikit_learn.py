"""The small real data sets in scikit-learn, without download: digits, iris, wine, breast_cancer, diabetes.

Their files are parts of a package, so they are read once in a process.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptrun.data.dataset import Data
from ptrun.data.division import divide
from ptrun.data.duplicates import keys_of_arrays
from ptrun.data.features.labels import fit_scaler
from ptrun.data.partition import Indices, Parts, record
from ptrun.data.samples import Samples
from ptrun.data.split_settings import DEFAULT_SPLIT, SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.registry import datasets
from ptrun.rng import Floats
from ptrun.spec import DataSpec, Layout, Task


@datasets.register
def digits(
    *,
    fitted: Mapping[str, Any] | None = None,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """1,797 handwritten digits, uint8 [1, 8, 8]; the 17 gray levels of the source are spread over 0 to 255.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998).
    """
    (images, classes), names = _digits(), tuple("0123456789")
    spec = DataSpec(
        layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(1, 8, 8), num_outputs=10, class_names=names
    )
    parts = divide(_samples(images, classes, names), splitting)
    return _data(spec, images, classes, parts, {"class_names": list(names)}, splitting)


@datasets.register
def iris(
    *,
    fitted: Mapping[str, Any] | None = None,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """150 flowers of three species, 4 lengths in cm. Source: Fisher (1936)."""
    return _vectors("iris", splitting, fitted)


@datasets.register
def wine(
    *,
    fitted: Mapping[str, Any] | None = None,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """178 wines of three growers, 13 chemical measurements. Source: Forina et al., UCI (1991)."""
    return _vectors("wine", splitting, fitted)


@datasets.register
def breast_cancer(
    *,
    fitted: Mapping[str, Any] | None = None,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """569 tumors, malignant or benign, 30 measurements of cell nuclei. Source: Wolberg et al., UCI (1995)."""
    return _vectors("breast_cancer", splitting, fitted)


@datasets.register
def diabetes(
    *,
    fitted: Mapping[str, Any] | None = None,
    splitting: SplitSettings = DEFAULT_SPLIT,
) -> Data:
    """442 patients, 10 measurements in their own units; the target is the progress of the disease after a year.

    Source: Efron et al., "Least Angle Regression" (2004).
    """
    bunch = _bunch("diabetes")
    parts = divide(_samples(bunch.data, bunch.target), splitting)
    fitted = dict(fitted) if fitted else _fit_to_training(bunch.data, bunch.target[:, None], parts.train)
    mean, std = np.array(fitted["target_mean"]), np.array(fitted["target_std"])
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
    return _data(spec, _standardized(bunch.data, fitted), targets, parts, fitted, splitting)


def preload(name: str) -> None:
    """Read a data set, if it is one of these, for all runs of this process and of its forks."""
    if name == "digits":
        _digits()
    elif name in _BUNCHES:
        _bunch(name)


def _vectors(name: str, splitting: SplitSettings, fitted: Mapping[str, Any] | None) -> Data:
    """A data set of vectors and classes."""
    bunch = _bunch(name)
    names, classes = tuple(map(str, bunch.target_names)), bunch.target.astype(np.int64)
    parts = divide(_samples(bunch.data, classes, names), splitting)
    fitted = dict(fitted) if fitted else _fit_to_training(bunch.data, None, parts.train)
    spec = DataSpec(
        layout=Layout.VECTOR,
        task=Task.CLASSIFICATION,
        input_shape=(bunch.data.shape[1],),
        num_outputs=len(names),
        class_names=names,
        feature_names=tuple(map(str, bunch.feature_names)),
    )
    return _data(spec, _standardized(bunch.data, fitted), classes, parts, fitted, splitting)


def _fit_to_training(features: Floats, targets: Floats | None, train: Indices) -> dict[str, Any]:
    """Mean and standard deviation of the training features, and of the training targets when they are numbers."""
    mean, std = fit_scaler(features[train])
    fitted: dict[str, Any] = {"mean": mean.tolist(), "std": std.tolist()}
    if targets is not None:
        target_mean, target_std = fit_scaler(targets[train])
        fitted |= {"target_mean": target_mean.tolist(), "target_std": target_std.tolist()}
    return fitted


def _standardized(features: Floats, fitted: Mapping[str, Any]) -> NDArray[np.float32]:
    scores: Floats = (features - np.array(fitted["mean"])) / np.array(fitted["std"])
    return scores.astype(np.float32)


def _data(
    spec: DataSpec,
    inputs: NDArray[Any],
    targets: NDArray[Any],
    parts: Parts,
    fitted: Mapping[str, Any],
    splitting: SplitSettings,
) -> Data:
    all_inputs, all_targets = torch.from_numpy(inputs), torch.from_numpy(targets)
    train, val, test = (
        TensorSplit(all_inputs[rows], all_targets[rows], rows)
        for rows in map(torch.from_numpy, (parts.train, parts.val, parts.test))
    )
    is_classification = spec.task is Task.CLASSIFICATION
    by_part = [
        (name, split.rows.numpy(), split.targets.numpy() if is_classification else None)
        for name, split in (("train", train), ("val", val), ("test", test))
    ]
    description = record(parts, by_part, spec.class_names, splitting)
    return Data(spec=spec, train=train, val=val, test=test, fitted=fitted, notes=parts.notes, record=description)


def _samples(inputs: NDArray[Any], targets: NDArray[Any], class_names: Sequence[str] = ()) -> Samples:
    """What decides the parts. class_names: none for targets that are numbers."""
    return Samples(
        count=len(inputs),
        noun="samples",
        name=lambda position: f"row {position}",
        classes=targets if class_names else None,
        class_names=class_names,
        targets=targets,
        keys=keys_of_arrays(inputs),
        same="have the same inputs as",
    )


_BUNCHES: Mapping[str, Mapping[str, Any]] = {"iris": {}, "wine": {}, "breast_cancer": {}, "diabetes": {"scaled": False}}


@cache
def _bunch(name: str) -> Any:
    """What scikit-learn's function for a data set returns. Do not change its arrays."""
    import sklearn.datasets  # Takes about a second, so only these data sets import it.

    return getattr(sklearn.datasets, f"load_{name}")(**_BUNCHES[name])


@cache
def _digits() -> tuple[NDArray[np.uint8], Indices]:
    """The images [1797, 1, 8, 8] and the classes. Do not change them."""
    table = _digits_table()
    return np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8), table[:, 64].astype(np.int64)


def _digits_table() -> Floats:
    """Pixels and class of each digit, [1797, 65].

    The file in the package is read without importing scikit-learn: 0.05 s instead of 1 s, for the default data set.
    """
    module = importlib.util.find_spec("sklearn")
    path = Path(module.origin).parent / "datasets" / "data" / "digits.csv.gz" if module and module.origin else None
    if path is None or not path.is_file():  # This scikit-learn keeps the file elsewhere.
        import sklearn.datasets

        bunch = sklearn.datasets.load_digits()
        return np.column_stack([bunch.data, bunch.target])
    cells = gzip.decompress(path.read_bytes()).replace(b"\n", b",").rstrip(b",").split(b",")
    return np.array(cells, dtype=np.float64).reshape(-1, 65)
