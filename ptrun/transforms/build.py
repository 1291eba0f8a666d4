"""Builds an image pipeline from a list of image transforms in the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from ptrun.errors import ConfigError
from ptrun.registry import image_transforms
from ptrun.spec import DataSpec, Layout
from ptrun.transforms.pipeline import Pipeline
from ptrun.transforms.statistics import fit_normalize
from ptrun.transforms.transform import AnyTransform, BatchTransform, MixTransform, Normalize, Transform

Item = str | Mapping[str, Mapping[str, Any] | None]  # a name, or a map of one name to its settings


def build_pipeline(
    items: Sequence[Item],
    spec: DataSpec,
    *,
    fitted: Mapping[str, Any] | None = None,
    sample_images: Callable[[], Iterator[Tensor]] | None = None,
) -> Pipeline:
    """Build the pipeline of a list of image transforms.

    fitted: `Pipeline.fitted` of the training pipeline, so that evaluation treats images alike; None in training.
    sample_images: gives raw training images, uint8 [C, H, W] or batches of them, at the indices that
        `evenly_spaced` names. It is called when statistics have to be computed.
    Raises ConfigError with all mistakes of the list, DataError when a transform can't take the images.
    """
    if spec.layout is not Layout.IMAGE:
        raise ConfigError(
            f"transform: image transforms need images, but the data are of layout '{spec.layout}'. Use transform=auto."
        )
    built = _build_transforms(items)
    of_images = [(name, transform) for name, transform in built if isinstance(transform, Transform | BatchTransform)]
    of_pairs = [transform for _, transform in built if isinstance(transform, MixTransform)]
    pipeline = Pipeline(of_images, of_pairs, spec.num_outputs)
    fixed = items[: pipeline.num_fixed]
    pipeline.fixed_transforms = repr([(item, image_transforms.source_digest(_split(item)[0])) for item in fixed])
    if built and isinstance(last := built[-1][1], Normalize):
        fit_normalize(pipeline, last, spec, fitted or {}, sample_images)
    return pipeline


def _build_transforms(items: Sequence[Item]) -> list[tuple[str, AnyTransform]]:
    """The transforms of a list with their names. Raises ConfigError with all mistakes, order included."""
    built: list[tuple[str, AnyTransform]] = []
    problems: list[str] = []
    for position, item in enumerate(items, start=1):
        try:
            name, settings = _split(item)
            built.append((name, _build_transform(name, settings)))
        except ConfigError as error:
            problems += [f"transform, number {position}: {problem}" for problem in error.problems]
    problems += _order_problems([transform for _, transform in built])
    if problems:
        raise ConfigError(problems)
    return built


def _order_problems(transforms: Sequence[AnyTransform]) -> Iterator[str]:
    """Say where a transform comes too early: those of one image come first, then mixtures, then normalize."""
    if any(isinstance(transform, Normalize) for transform in transforms[:-1]):
        yield (
            "transform: normalize has to come last, because all other transforms work on uint8 images. "
            "Move it to the end of the list."
        )
    num_images = sum(isinstance(transform, Transform | BatchTransform) for transform in transforms)
    if any(isinstance(transform, MixTransform) for transform in transforms[:num_images]):
        yield "transform: mixup and cutmix mix finished images. Put them after the transforms that change one image."


def _split(item: Any) -> tuple[str, Mapping[str, Any]]:
    """Name and settings of an item. Raises ConfigError when it is something else."""
    if isinstance(item, str):
        return item, {}
    if not isinstance(item, Mapping) or len(item) != 1:
        raise ConfigError(f"expected a name or one `NAME: {{settings}}`, got {item}.")
    name, settings = next(iter(item.items()))
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"expected `{name}: {{SETTING: VALUE}}`, got `{name}: {settings}`.")
    return str(name), settings or {}


def _build_transform(name: str, settings: Mapping[str, Any]) -> AnyTransform:
    try:
        transform = image_transforms.build(name, settings)
    except (TypeError, ValueError, IndexError) as error:
        raise ConfigError(f"{name} refuses its settings: {error}.") from None
    if not isinstance(transform, AnyTransform):
        raise image_transforms.wrong_result(name, transform)
    return transform
