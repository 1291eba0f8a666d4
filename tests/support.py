"""What several tests share: where the checkout is, how a command ended, where a run went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ptrun
from ptrun.spec import DataSpec, Layout, Task

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ended:
    """A finished command."""

    code: int
    out: str
    err: str


def without_pictures(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments of a command; those of a run with `plots=false`, which spares a second, unless they choose."""
    runs = arguments[:1] == ("train",) and len(arguments) > 1 and not {"-h", "--help"} & {*arguments}
    chosen = any(each.startswith("plots=") for each in arguments)
    return (*arguments, "plots=false") if runs and not chosen else arguments


def train(*overrides: str, quiet: bool = False) -> Any:
    """`ptrun.train` without pictures, which returns a TrainResult."""
    return ptrun.train(*overrides, "plots=false", quiet=quiet)


def newest_run(folder: Path) -> Path:
    """The run folder that `outputs/latest` points to."""
    return (folder / "outputs" / "latest").resolve()


def newest_evaluation(folder: Path) -> Path:
    """The folder that the newest `ptrun eval` wrote."""
    return max((folder / "outputs").glob("*/*-eval-*"), key=lambda path: path.stat().st_mtime_ns)


def forecast_spec(**changes: Any) -> DataSpec:
    """Two columns to forecast, in another order than they are read, three steps ahead; a calendar column beside them."""
    facts: dict[str, Any] = {
        "layout": Layout.SEQUENCE,
        "task": Task.REGRESSION,
        "input_shape": (40, 3),
        "num_outputs": 6,
        "feature_names": ("rain", "wind", "year sine"),
        "target_names": tuple(f"{name} +{step}" for step in (1, 2, 3) for name in ("wind", "rain")),
        "horizon": 3,
    }
    return DataSpec(**{**facts, **changes})
