"""Registries: taken names, unknown names, settings, and the names that plugins import."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ptrun import plugins, registry
from ptrun.errors import ConfigError
from ptrun.registry import Registry


@pytest.fixture
def shapes() -> Registry[object]:
    """A registry of two functions."""
    shapes: Registry[object] = Registry("image_shape")

    @shapes.register
    def circle(*, radius: float, filled: bool = True, spec: object = None) -> tuple[float, bool, object]:
        return radius, filled, spec

    @shapes.register
    def point() -> str:
        return "point"

    return shapes


def test_a_function_is_built_with_its_settings_and_the_runtime_values_that_it_takes(shapes: Registry[object]):
    assert list(shapes) == ["circle", "point"]
    assert "circle" in shapes
    assert shapes.build("circle", {"radius": 2.0}, spec="spec", other="not taken") == (2.0, True, "spec")
    assert shapes.build("point", {}, spec="spec") == "point"


def test_an_unknown_name_is_answered_with_the_nearest(shapes: Registry[object]):
    with pytest.raises(ConfigError, match=r"There is no image shape 'circel'\. Did you mean 'circle'"):
        shapes.get("circel")


def test_all_wrong_settings_are_reported_together(shapes: Registry[object]):
    with pytest.raises(ConfigError) as caught:
        shapes.build("circle", {"filed": False, "spec": 1}, spec=2)
    first, second, third = caught.value.problems
    assert first.startswith("image_shape.filed: image shape 'circle' has no such setting. Did you mean 'filled'?")
    assert second == "image_shape.spec is given by the program and can't be set."
    assert third == "image_shape.radius: image shape 'circle' needs a value for this setting."


def test_a_name_is_registered_once(shapes: Registry[object]):
    def other() -> None: ...

    with pytest.raises(ConfigError, match=r"image shape 'point' is registered twice: in .*point and in .*other"):
        shapes.add("point", other)
    shapes.add("point", shapes.get("point"))  # the same function again, as when a file is imported twice


def test_the_digest_follows_the_file(tmp_path: Path, shapes: Registry[object]):
    digests = []
    for number, text in enumerate(("def drawn(): return 1\n", "def drawn(): return 2\n")):
        path = tmp_path / f"drawn{number}.py"
        path.write_text(text, encoding="utf-8")
        shapes.add(f"drawn{number}", runpy.run_path(str(path))["drawn"])
        digests.append(shapes.source_digest(f"drawn{number}"))
    assert len(set(digests)) == 2
    assert all(digests)


def test_plugins_import_these_names():
    """Public: a plugin breaks when one of them goes away."""
    assert {registry.models, registry.datasets, registry.losses, registry.optimizers} <= {*plugins.REGISTRIES.values()}
    assert {registry.schedulers, registry.metrics, registry.loggers} <= {*plugins.REGISTRIES.values()}
    assert registry.steps is registry.image_transforms is plugins.REGISTRIES["image_transform"]


def test_a_plugin_written_with_the_former_name_of_image_transforms_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(registry.image_transforms, "_functions", {})
    path = tmp_path / "former.py"
    path.write_text(
        "from ptrun.registry import steps\n\n\n@steps.register\ndef former_transform(*, size=3):\n    return size\n",
        encoding="utf-8",
    )
    plugins.load([str(path)])
    assert registry.image_transforms.build("former_transform", {"size": 5}) == 5
