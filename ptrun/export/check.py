"""Compares what an exported file computes with what its checkpoint computes, on the same samples.

An exporter can be wrong without saying so: in torch's issues #169178 (an accuracy of 0 %), #166797 (a wrong bias) and
#148886 (a batch size that can't change) a file was written and reported as exported. So each file is run by the
program that will read it, in batches of several sizes, before it gets its name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ptrun.errors import ExportError, first_line
from ptrun.spec import DataSpec, Task

Outputs = Mapping[str, Tensor]  # name → [batch, num_outputs]
RunFile = Callable[[Sequence[Tensor]], list[Outputs]]  # the outputs of an exported file for each of several batches

BATCH_SIZES = (1, 2, 7)  # one, where a frozen or squeezed dimension shows; and two that no example had
BATCHES_PER_SIZE = 10
NUM_SIZES = 10  # in which images are given to a file that takes any
# Largest difference that is accepted, as a share of the largest value of that output. Another order of float32 sums
# gives 1e-7 for small and about 1e-5 for deep networks. A wrong weight, bias or constant gives far more than 1e-4.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Comparison:
    """How the outputs of a file and of its checkpoint differ for batches of one size.

    differences: output → largest absolute difference. shares: the same as a share of the output's largest value.
    changed: samples whose predicted class differs; None for numbers.
    image_sizes: in how many sizes images were given.
    """

    batch_size: int
    num_samples: int
    differences: Mapping[str, float]
    shares: Mapping[str, float]
    changed: int | None
    image_sizes: int = 1


def batches_of(inputs: Tensor, batch_size: int) -> list[Tensor]:
    """At most BATCHES_PER_SIZE whole batches of the samples, in order."""
    count = min(BATCHES_PER_SIZE, len(inputs) // batch_size)
    return list(torch.split(inputs[: count * batch_size], batch_size))


def num_check_samples() -> int:
    """How many samples fill the batches of all sizes."""
    return BATCHES_PER_SIZE * max(BATCH_SIZES)


def compare(run: RunFile, inputs: Tensor, expect: Callable[[int], Outputs], spec: DataSpec) -> list[Comparison]:
    """Run a file on batches of each size, and compare its outputs with those that are expected.

    expect: function from a batch size to the outputs of the samples, in order, computed in batches of that size.
    Raises ExportError when the file can't be run, or gives outputs of another name or shape.
    """
    by_size = {size: batches_of(inputs, size) for size in BATCH_SIZES}
    results = iter(_run(run, [batch for batches in by_size.values() for batch in batches]))
    comparisons = []
    for size, batches in by_size.items():
        of_size = list(itertools.islice(results, len(batches)))
        want = {name: values[: len(batches) * size] for name, values in expect(size).items()}
        got = {name: _joined(of_size, name) for name in want}
        comparisons.append(compare_outputs(got, want, size, spec))
    return comparisons


def compare_sizes(run: RunFile, images: Tensor, expect: Callable[[Tensor], Outputs], spec: DataSpec) -> Comparison:
    """Run a file on images of several sizes, one at a time, and compare its outputs with those that are expected.

    images: [N, channels, height, width], of which parts are taken. expect: function from some images to their outputs.
    Raises ExportError as `compare` does.
    """
    parts = [part.unsqueeze(0) for part in parts_of_images(images)]
    results, wanted = _run(run, parts), [expect(part) for part in parts]
    want = {name: _joined(wanted, name) for name in wanted[0]}
    got = {name: _joined(results, name) for name in want}
    return replace(compare_outputs(got, want, 1, spec), image_sizes=len({part.shape for part in parts}))


def parts_of_images(images: Tensor) -> list[Tensor]:
    """Parts of the first images, in NUM_SIZES sizes: wide ones, high ones, small ones."""
    height, width = images.shape[2:]
    shares = [1 - number / NUM_SIZES for number in range(NUM_SIZES)]
    order = [*shares[::2], *shares[1::2]]
    sizes = [(max(1, round(height * a)), max(1, round(width * b))) for a, b in zip(order, reversed(order), strict=True)]
    return [image[:, : size[0], : size[1]].contiguous() for image, size in zip(images, sizes, strict=False)]


def compare_outputs(got: Outputs, want: Outputs, batch_size: int, spec: DataSpec) -> Comparison:
    """Compare outputs by name. Raises ExportError for a wrong shape."""
    for name, values in want.items():
        if got[name].shape != values.shape:
            raise ExportError(
                f"The exported file gives '{name}' the shape {list(got[name].shape)} for {len(values)} samples in "
                f"batches of {batch_size}; {list(values.shape)} is right. It was not kept."
            )
    differences = {name: _largest_difference(got[name], values) for name, values in want.items()}
    shares = {name: _share(difference, name, want[name], spec) for name, difference in differences.items()}
    return Comparison(batch_size, len(next(iter(want.values()))), differences, shares, _changed(got, want, spec))


def _share(difference: float, name: str, values: Tensor, spec: DataSpec) -> float:
    """A difference as a share of the output's largest value; of a tenth of its usual spread if all are nearly 0.

    Infinite where the difference is, also when the largest value is no number.
    """
    usual = max(spec.target_std, default=1.0) if name == "predictions" else 1.0
    scale = max(float(values.abs().max()), 0.1 * usual)
    return difference / scale if math.isfinite(difference) else math.inf


def _changed(got: Outputs, want: Outputs, spec: DataSpec) -> int | None:
    """Samples whose class differs; None for numbers."""
    if spec.task is not Task.CLASSIFICATION:
        return None
    name = next(iter(want))
    return int((got[name].argmax(1) != want[name].argmax(1)).sum())


def _run(run: RunFile, batches: Sequence[Tensor]) -> list[Outputs]:
    try:
        return run(batches)
    except ExportError:
        raise
    except Exception as error:  # each reader has errors of its own
        sizes = ", ".join(map(str, BATCH_SIZES))
        raise ExportError(
            f"The exported file can't be run on batches of {sizes}: {first_line(error)}. It was not kept."
        ) from error


def _joined(results: Sequence[Outputs], name: str) -> Tensor:
    if any(name not in result for result in results):
        raise ExportError(f"The exported file gives no output '{name}'. It was not kept.")
    return torch.cat([result[name] for result in results])


def _largest_difference(got: Tensor, want: Tensor) -> float:
    """The largest absolute difference; infinity where either is no number."""
    difference = (got.double() - want.double()).abs()
    return float(difference.max()) if bool(torch.isfinite(difference).all()) else float("inf")


def require_equal(comparisons: Sequence[Comparison], tolerance: float = TOLERANCE) -> None:
    """Raise ExportError naming the worst output when one differs by more than `tolerance` of its largest value."""
    comparison = max(comparisons, key=lambda comparison: max(comparison.shares.values()))
    name, share = max(comparison.shares.items(), key=lambda item: item[1])
    if share <= tolerance:
        return
    changed = f", and {comparison.changed} of {comparison.num_samples} decisions change" if comparison.changed else ""
    raise ExportError(
        f"The exported file computes other numbers than the checkpoint: in batches of {comparison.batch_size}, "
        f"'{name}' differs by up to {comparison.differences[name]:.3g}, which is {share:.2g} of its largest value "
        f"(accepted: {tolerance:g}){changed}. It was not kept."
    )


def require_finite(comparisons: Sequence[Comparison]) -> None:
    """Raise ExportError when an output is no number."""
    differences = (difference for comparison in comparisons for difference in comparison.differences.values())
    if any(map(math.isinf, differences)):
        raise ExportError("The exported file gives outputs that are no numbers. It was not kept.")
