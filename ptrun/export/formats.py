"""The formats of exported files, and the packages that each one needs; imports neither torch nor those packages."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from ptrun.errors import ConfigError


@dataclass(frozen=True)
class Format:
    """What is known of a format before anything is exported.

    suffix: how names of its files end. packages: imported for it. extra: of ptrun, which installs them; "" for packages
        that ptrun itself depends on. holds_graph: whether the file holds the computation, not the weights alone.
    precisions: in which its weights can be stored.
    """

    suffix: str
    packages: tuple[str, ...] = ()
    extra: str = ""
    holds_graph: bool = True
    precisions: tuple[str, ...] = ("fp32", "fp16", "bf16")


FORMATS: Mapping[str, Format] = {
    "onnx": Format(".onnx", ("onnx", "onnxscript", "onnxruntime"), "onnx", precisions=("fp32", "fp16", "bf16", "int8")),
    "torch_export": Format(".pt2"),
    "safetensors": Format(".safetensors", ("safetensors",), holds_graph=False),
}


def require_possible(name: str, precision: str, with_preprocessing: bool | str, output: str | None) -> None:
    """Raise ConfigError with all settings that a format can't have, or with the packages that it lacks."""
    form = FORMATS[name]
    problems = []
    if precision not in form.precisions:
        able = [other for other, facts in FORMATS.items() if precision in facts.precisions]
        problems.append(
            f"precision: format={name} can't store {precision}; it can store {', '.join(form.precisions)}. "
            f"For {precision} use format={able[0]}."
        )
    if with_preprocessing is True and not form.holds_graph:
        problems.append(
            f"with_preprocessing: a {name} file holds weights and no computation, so it can't prepare inputs. Its "
            "metadata say how inputs are prepared. Leave the setting out, or use format=onnx or format=torch_export."
        )
    if output is not None and not output.endswith(form.suffix):
        problems.append(f"output: expected a name that ends in {form.suffix} for format={name}, got '{output}'.")
    problems += _missing_packages(name, form)
    if problems:
        raise ConfigError(problems)


def _missing_packages(name: str, form: Format) -> list[str]:
    missing = [package for package in form.packages if importlib.util.find_spec(package) is None]
    if not missing:
        return []
    verb = "which is" if len(missing) == 1 else "which are"
    install = f'"ptrun[{form.extra}]"' if form.extra else " ".join(missing)
    return [f"format={name} needs {' and '.join(missing)}, {verb} not installed. Install with: pip install {install}"]
