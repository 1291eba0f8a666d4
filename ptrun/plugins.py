"""Imports the user's own Python files, so that their components are registered, and explains errors in their code.

The files are named on the command line or in the user's own configuration, never by a checkpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, ModuleType
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


@dataclass(frozen=True)
class _Plugin:
    """An imported file. source: the file that was run, which is `path` itself or its copy. digest: of its content."""

    path: Path
    source: Path
    digest: bytes


_plugins: dict[str, _Plugin] = {}  # by module name
_copies: dict[Path, Path] = {}  # path of a file → its copy that is imported instead
_copied_modules: dict[str, Path] = {}  # name of a module beside a plugin → its path, of which there is a copy


def load(files: Sequence[str]) -> None:
    """Import each file, again when it was edited since, as in a notebook.

    Raises ConfigError naming file, line and reason when that fails.
    """
    for file in files:
        path = Path(file).expanduser().resolve()
        # The name depends on the path alone. So a worker process that is not forked, and imports the file itself,
        # finds the classes of pickled objects under the same module name.
        name = f"ptrun_plugin_{path.stem}_{zlib.crc32(os.fsencode(path)):x}"
        source = _copies.get(path, path)
        if not source.is_file():
            if name in sys.modules:  # removed since, which a run that goes on need not notice
                continue
            raise ConfigError(f"plugins: there is no file {path}.")
        plugin = _Plugin(path, source, hashlib.blake2b(source.read_bytes(), digest_size=16).digest())
        imported = _plugins.get(name)
        if name not in sys.modules or imported is None or imported.digest != plugin.digest:
            _import(name, plugin)


def is_plugin(module: str) -> bool:
    """Whether a module of this name was imported as a plugin."""
    return module in _plugins


def use_copies(copies: Mapping[Path, Path], modules: Mapping[str, Path] | None = None) -> None:
    """Import these copies in place of the files of which they are, which may have been edited since.

    modules: name of a module that plugins import → the file of which there is a copy.
    A module knows the place of the original as its `__file__`, beside which it may keep other files.
    """
    _copies.update(copies)
    _copied_modules.update(modules or {})
    if _copied_modules and not any(isinstance(finder, _CopyFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _CopyFinder())


def _load_as_elsewhere(files: Sequence[str], copies: Mapping[Path, Path], modules: Mapping[str, Path]) -> None:
    use_copies(copies, modules)
    load(files)


class _UncachedLoader(SourceFileLoader):
    """Compiles a file each time: Python takes its cached code for current when an edit keeps second and size."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _CopyLoader(_UncachedLoader):
    """Runs a copy as the module of the original."""

    def __init__(self, name: str, original: Path, copy: Path) -> None:
        super().__init__(name, str(copy))
        self._original = str(original)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._original
        super().exec_module(module)


class _CopyFinder(MetaPathFinder):
    """Finds the copies of the modules that plugins import."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """The copy of a module, if there is one."""
        original = _copied_modules.get(fullname)
        copy = _copies.get(original) if original is not None else None
        if original is None or copy is None or not copy.is_file():
            return None
        within = [str(original.parent)] if original.name == "__init__.py" else None  # for modules imported later
        loader = _CopyLoader(fullname, original, copy)
        return importlib.util.spec_from_file_location(fullname, copy, loader=loader, submodule_search_locations=within)


def _import(name: str, plugin: _Plugin) -> None:
    """Run a file, or its copy, as the module `name`, without the components of its former content."""
    path, source = plugin.path, plugin.source
    spec = importlib.util.spec_from_file_location(name, source, loader=_UncachedLoader(name, str(source)))
    if path.suffix != ".py" or spec is None or spec.loader is None:
        raise ConfigError(f"plugins: {path} is not a Python file.")
    unload(name)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # at the end: a file beside a plugin must not hide a package
    module: ModuleType = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module
    _plugins[name] = plugin
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        unload(name)
        if isinstance(error, (PtrunError, KeyboardInterrupt)):
            raise
        frames = reversed(traceback.extract_tb(error.__traceback__))
        line = next((frame.lineno for frame in frames if frame.filename == str(source)), None)
        location = f"{source}, line {line}" if line else str(source)
        if isinstance(error, SystemExit):
            raise ConfigError(
                f"plugins: {location}: it ends the program when it is imported. "
                "Put that call below: if __name__ == '__main__':"
            ) from error
        raise ConfigError(f"plugins: {location}: {type(error).__name__}: {error}.") from error


def unload(name: str) -> None:
    """Forget a plugin, by the name of its module, and the components that it registered."""
    for components in REGISTRIES.values():
        components.remove_module(name)
    sys.modules.pop(name, None)
    _plugins.pop(name, None)


class LoadOnUnpickling:
    """Imports the plugins of this process in the process where it is unpickled.

    It is pickled before objects whose classes plugins define. A worker process that is not forked needs it. Files that
    were removed since are left out: an earlier run of this process may have been the last to use them.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        imported = [plugin for name, plugin in _plugins.items() if name in sys.modules and plugin.source.is_file()]
        files = sorted(str(plugin.path) for plugin in imported)
        return _load_as_elsewhere, (files, dict(_copies), dict(_copied_modules))


@contextlib.contextmanager
def attribute_plugin_errors(model: str | None = None) -> Iterator[None]:
    """Turn an error in a plugin's code into a ConfigError that names its file, line and the shapes of its arguments.

    model: name of the model that runs inside, to which errors in torch's own modules are attributed when a plugin
        defines it. Other errors pass unchanged.
    """
    try:
        yield
    except PtrunError:
        raise
    except Exception as error:
        location = None if is_out_of_memory(error) else _location_in_plugin(error, model)
        if location is None:
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": .")
        raise ConfigError(f"plugins: {location}: {reason}. --debug shows the whole traceback.") from error


def _location_in_plugin(error: BaseException, model: str | None) -> str | None:
    """Where in a plugin an error comes from, with the shapes of the arguments there; None for other errors."""
    frames = list(traceback.walk_tb(error.__traceback__))
    sources = _sources()
    in_plugins = [(frame, line) for frame, line in frames if frame.f_code.co_filename in sources]
    if in_plugins:
        frame, line = in_plugins[-1]
        # The innermost function of the plugin that has tensors among its arguments.
        shapes = next((text for frame, _ in reversed(in_plugins) if (text := _argument_shapes(frame))), "")
        return f"{frame.f_code.co_filename}, line {line}, in {frame.f_code.co_name}{shapes}"
    return None if model is None else _location_of_model([frame for frame, _ in frames], model)


def _sources() -> set[str]:
    """The files of the plugins, as Python writes them in tracebacks."""
    return {str(plugin.source) for plugin in _plugins.values()}


def _location_of_model(frames: Sequence[FrameType], model: str) -> str | None:
    """The function that made the model, when a plugin did and the error is in one of torch's modules inside of it."""
    function = REGISTRIES["model"].get(model)
    file = inspect.getsourcefile(function)
    calls = [frame for frame in frames if frame.f_code.co_name == "_call_impl"]  # torch's, of every module
    if file not in _sources() or not calls:
        return None
    shapes = [list(argument.shape) for argument in calls[0].f_locals["args"] if hasattr(argument, "shape")]
    inputs = f" (the model was given {', '.join(map(str, shapes))})" if shapes else ""
    return f"{file}, line {inspect.getsourcelines(function)[1]}, model '{model}'{inputs}"


def _argument_shapes(frame: FrameType) -> str:
    """The shapes of the tensors among the arguments of a function, as ` (given x [32, 1, 8, 8])`."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    arguments = {name: frame.f_locals[name] for name in names if name in frame.f_locals}
    shapes = [f"{name} {list(value.shape)}" for name, value in arguments.items() if hasattr(value, "shape")]
    return f" (given {', '.join(shapes)})" if shapes else ""
