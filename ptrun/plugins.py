"""Import the user's own Python files, so that their components are registered; and say what goes wrong in them.

Invariant: files are named on the command line or in the user's own configuration, never by a checkpoint.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import sys
import traceback
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ptrun import registry
from ptrun.errors import ConfigError, PtrunError, is_out_of_memory

REGISTRIES: Mapping[str, registry.Registry[Any]] = {
    "model": registry.models,
    "dataset": registry.datasets,
    "image_transform": registry.image_transforms,
    "loss": registry.losses,
    "optimizer": registry.optimizers,
    "scheduler": registry.schedulers,
    "metric": registry.metrics,
    "logger": registry.loggers,
}
_LOADED: set[str] = set()  # paths, as Python has them in tracebacks


def load(files: Sequence[str]) -> None:
    """Run each file once as a module. Raises ConfigError naming file, line and reason."""
    for file in files:
        path = Path(file).expanduser().resolve()
        # The same name in every process: what a plugin defines is found by it in a worker that is not forked.
        name = f"ptrun_plugin_{path.stem}_{zlib.crc32(os.fsencode(path)):x}"
        if name in sys.modules:
            continue
        if not path.is_file():
            raise ConfigError(f"plugins: there is no file {path}.")
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"plugins: {path} is no Python file.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        _LOADED.add(str(path))
        try:
            spec.loader.exec_module(module)
        except PtrunError:
            _forget(name, path)
            raise
        except Exception as error:
            _forget(name, path)
            line = next(
                (f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == str(path)), None
            )
            raise ConfigError(
                f"plugins: {path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}."
            ) from error


def _forget(name: str, path: Path) -> None:
    del sys.modules[name]
    _LOADED.discard(str(path))


class Loaded:
    """Pickled before objects of plugins, it loads the plugins where they are unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (sorted(_LOADED),)


@contextlib.contextmanager
def attribute_plugin_errors(model: str | None = None) -> Iterator[None]:
    """Turn what a plugin's code raises inside into a ConfigError that names its file, line and input; `model` is the one at work, if any."""
    try:
        yield
    except PtrunError:
        raise
    except Exception as error:
        where = None if is_out_of_memory(error) else _where(error, model)
        if where is None:
            raise
        what = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": .")
        raise ConfigError(f"plugins: {where}: {what}. --debug shows the whole traceback.") from error


def _where(error: BaseException, model: str | None) -> str | None:
    """Where a plugin made this mistake, with the shapes it was given; None when no plugin had a part in it."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [(frame, line) for frame, line in frames if frame.f_code.co_filename in _LOADED]
    if own:
        frame, line = own[-1]
        given = next((found for frame, _ in reversed(own) if (found := _given(frame))), "")
        return f"{frame.f_code.co_filename}, line {line}, in {frame.f_code.co_name}{given}"
    if model is None:
        return None
    # A model put together from torch's modules fails in torch's own code: then the function that made it is to blame.
    made_by = REGISTRIES["model"].get(model)
    file = inspect.getsourcefile(made_by)
    calls = [frame for frame, _ in frames if frame.f_code.co_name == "_call_impl"]
    if file not in _LOADED or not calls:
        return None
    shapes = [list(each.shape) for each in calls[0].f_locals["args"] if hasattr(each, "shape")]
    told = f" (the model was given {', '.join(map(str, shapes))})" if shapes else ""
    return f"{file}, line {inspect.getsourcelines(made_by)[1]}, model '{model}'{told}"


def _given(frame: FrameType) -> str:
    """The shapes of the tensors among the arguments of a function."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    given = {name: frame.f_locals[name] for name in names if name in frame.f_locals}
    shapes = [f"{name} {list(value.shape)}" for name, value in given.items() if hasattr(value, "shape")]
    return f" (given {', '.join(shapes)})" if shapes else ""
