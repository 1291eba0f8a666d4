"""Some of the samples keep what belongs to them."""

from __future__ import annotations

import numpy as np

from ptrun.data.samples import Samples


def test_samples_that_are_taken_keep_names_classes_and_keys() -> None:
    samples = Samples(4, "rows", "row {}".format, np.array([0, 1, 0, 1]), "ab", keys=np.arange(4).astype(np.uint64))
    taken = samples.take(np.array([3, 1]))
    assert (taken.count, taken.name(0), taken.name(1)) == (2, "row 3", "row 1")
    assert taken.classes is not None
    assert taken.classes.tolist() == [1, 1]
    identified = taken.identified()
    assert identified is not None
    assert identified.keys.tolist() == [3, 1]
    assert Samples(1, "rows", str).identified() is None
