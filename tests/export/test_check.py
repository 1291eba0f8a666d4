"""A difference between a file and its checkpoint is found whatever form it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor

from ptrun.errors import ExportError
from ptrun.export.check import (
    BATCH_SIZES,
    Outputs,
    batches_of,
    compare,
    compare_sizes,
    num_check_samples,
    require_equal,
    require_finite,
)
from ptrun.spec import DataSpec, Layout, Task

SPEC = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(3,), num_outputs=3)
INPUTS = torch.randn(num_check_samples(), 3, generator=torch.Generator().manual_seed(0))


def served(batch: Tensor) -> Outputs:
    return {"logits": 5 * batch, "probabilities": (5 * batch).softmax(1)}


def right(batches: Iterable[Tensor]) -> list[Outputs]:
    return [served(batch) for batch in batches]


def test_batches_of_every_size_are_full():
    assert [[len(batch) for batch in batches_of(INPUTS, size)] for size in BATCH_SIZES] == [
        [1] * 10,
        [2] * 10,
        [7] * 10,
    ]


def test_an_equal_file_passes():
    comparisons = compare(right, INPUTS, lambda size: served(INPUTS), SPEC)
    require_equal(comparisons)
    assert [(each.batch_size, each.num_samples, each.changed) for each in comparisons] == [
        (1, 10, 0),
        (2, 20, 0),
        (7, 70, 0),
    ]


def broken(change: str, batches: Sequence[Tensor]) -> list[Outputs]:
    """A file with one fault."""
    results = [dict(each) for each in right(batches)]
    for batch, result in zip(batches, results, strict=True):
        if change == "a bias":
            result["logits"] = result["logits"] + torch.tensor([0.0, 0.05, 0.0])
        elif change == "no number":
            result["logits"] = result["logits"] * float("nan")
        elif change == "only in batches of 7" and len(batch) == 7:
            result["probabilities"] = result["probabilities"].flip(0)
        elif change == "every decision":
            result["logits"] = -result["logits"]
        elif change == "a lost output":
            del result["probabilities"]
        elif change == "one sample for all":
            result["logits"] = result["logits"][:1]
        elif change == "can't run":
            raise RuntimeError("INVALID_ARGUMENT: Got 2, expected 3.\nmore")
    return results


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("a bias", "in batches of 1, 'logits' differs by up to 0.05, which is"),
        ("no number", "'logits' differs by up to inf"),
        ("only in batches of 7", "in batches of 7, 'probabilities' differs by up to"),
        ("every decision", "decisions change. It was not kept."),
        ("a lost output", "gives no output 'probabilities'"),
        ("one sample for all", "gives 'logits' the shape [10, 3] for 20 samples in batches of 2; [20, 3] is right."),
        ("can't run", "can't be run on batches of 1, 2, 7: INVALID_ARGUMENT: Got 2, expected 3. It was not kept."),
    ],
)
def test_a_wrong_file_is_refused(change: str, sentence: str):
    with pytest.raises(ExportError) as caught:
        require_equal(compare(lambda batches: broken(change, batches), INPUTS, lambda size: served(INPUTS), SPEC))
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 1


def test_outputs_of_the_checkpoint_that_are_no_numbers_equal_nothing():
    expected = {name: values.clone() for name, values in served(INPUTS).items()}
    expected["logits"][-1] = float("nan")  # in a batch of seven only
    with pytest.raises(ExportError, match="in batches of 7, 'logits' differs by up to inf"):
        require_equal(compare(right, INPUTS, lambda size: expected, SPEC))


def test_a_difference_of_rounding_is_accepted():
    def rounded(batches: Iterable[Tensor]) -> list[Outputs]:
        return [{name: values * (1 + 1e-6) for name, values in each.items()} for each in right(batches)]

    require_equal(compare(rounded, INPUTS, lambda size: served(INPUTS), SPEC))


def test_outputs_near_0_are_compared_with_their_usual_spread():
    def tiny(batches: Iterable[Tensor], error: float = 1e-6) -> list[Outputs]:
        return [{"standardized": 1e-4 * batch + error, "predictions": 1e-4 * batch + 1e3 * error} for batch in batches]

    forecast = DataSpec(
        layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(3,), num_outputs=3, target_std=(1e3, 1.0, 1.0)
    )
    expected = tiny([INPUTS], error=0)[0]
    require_equal(compare(tiny, INPUTS, lambda size: expected, forecast))
    with pytest.raises(ExportError, match="differs by up to"):
        require_equal(compare(lambda batches: tiny(batches, 1e-4), INPUTS, lambda size: expected, forecast))


def test_outputs_that_only_have_to_be_numbers():
    require_finite(
        compare(lambda batches: broken("every decision", batches), INPUTS, lambda size: served(INPUTS), SPEC)
    )
    with pytest.raises(ExportError, match="no numbers"):
        require_finite(compare(lambda batches: broken("no number", batches), INPUTS, lambda size: served(INPUTS), SPEC))


IMAGES = torch.rand(num_check_samples(), 2, 30, 50, generator=torch.Generator().manual_seed(1))


def means(images: Tensor) -> Outputs:
    return {"logits": images.mean((2, 3))}


def test_images_are_given_in_several_sizes():
    shapes: list[torch.Size] = []

    def run(batches: Sequence[Tensor]) -> list[Outputs]:
        shapes.extend(batch.shape for batch in batches)
        return [means(batch) for batch in batches]

    comparison = compare_sizes(run, IMAGES, means, SPEC)
    assert (comparison.num_samples, comparison.image_sizes, comparison.changed) == (10, 10, 0)
    assert len(set(shapes)) == 10
    assert {shape[0] for shape in shapes} == {1}
    assert any(shape[2] > shape[3] for shape in shapes)
    assert any(shape[2] < shape[3] for shape in shapes)


def test_a_file_that_is_wrong_for_one_size_is_refused():
    def wide_only(batches: Sequence[Tensor]) -> list[Outputs]:
        return [means(batch if batch.shape[3] > batch.shape[2] else batch + 0.1) for batch in batches]

    with pytest.raises(ExportError, match="computes other numbers"):
        require_equal([compare_sizes(wide_only, IMAGES, means, SPEC)])
