"""What the end of a run needs is imported while it trains, and only that; not before data workers are forked."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from support import ROOT

from ptrun.metrics import classification, compute

# Prints which of the two packages are imported after an epoch of a run with these settings.
SCRIPT = """
import sys
sys.path.insert(0, "tests")
from support import run_config
from ptrun.build.auto import resolve_auto
from ptrun.engine.progress import EpochReport
from ptrun.runs.preload import Preloader

*settings, record, is_last, forks = sys.argv[1:]
preloader = Preloader(run_config(*settings), forks=forks == "forks")
preloader.after_epoch(EpochReport({record: 1.0}, is_best=False, is_last=is_last == "last"))
preloader.wait()
print(*(name for name in ("sklearn.metrics", "matplotlib.figure") if name in sys.modules))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "imported"),
    [
        (("metrics=[f1_macro]", "plots=true", "val/loss", "more", "forks"), "sklearn.metrics matplotlib.figure"),
        (("metrics=[accuracy]", "plots=true", "val/loss", "more", "forks"), "matplotlib.figure"),
        (("metrics=[accuracy]", "plots=false", "val/loss", "more", "forks"), ""),
        (("metrics=[f1_macro]", "plots=true", "train/loss", "more", "forks"), ""),  # data workers may still be forked
        (("metrics=[f1_macro]", "plots=true", "val/loss", "last", "forks"), ""),
        (("metrics=[f1_macro]", "plots=true", "train/loss", "last", "in memory"), "sklearn.metrics matplotlib.figure"),
    ],
)
def test_what_is_imported(words: tuple[str, ...], imported: str):
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.strip() == imported, done.stderr


def test_the_metrics_of_scikit_learn_are_known():
    by_source = {
        name
        for name in [*compute.default_metrics(compute.Task.CLASSIFICATION), "f1_weighted", "top_k"]
        if any(word in inspect.getsource(getattr(classification, name)) for word in ("sklearn", "_averaged("))
    }
    names = by_source | {"precision_weighted", "recall_weighted"}
    assert names == compute._OF_SCIKIT_LEARN
