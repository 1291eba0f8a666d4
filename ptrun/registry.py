"""Registries of components: name → function that builds one. Plugins register their own with the same decorator."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from ptrun.errors import ConfigError, did_you_mean, join_words

F = TypeVar("F", bound=Callable[..., Any])


class Registry(Generic[F]):
    """The functions that build one kind of component, by name.

    Keyword-only parameters are settings of the user, or values that the program passes (`runtime`).
    """

    def __init__(self, kind: str, takes: str = "", returns: str = "") -> None:
        """takes: the parameters of its functions, as in `def NAME(spec, *, SETTINGS)`. returns: what they return."""
        self.kind = kind  # as in a configuration: image_transform
        self._takes, self._returns = takes, returns
        self._noun = kind.replace("_", " ")  # as in a sentence: image transform
        self._functions: dict[str, F] = {}

    def register(self, function: F) -> F:
        """Decorator: add the function under its own name. Raises ConfigError when the name is taken."""
        return self.add(getattr(function, "__name__", str(function)), function)

    def add(self, name: str, function: F) -> F:
        """Add the function under `name`. Raises ConfigError when another function has that name."""
        existing = self._functions.get(name)
        if existing is not None and _source(existing) != _source(function):
            raise ConfigError(
                f"{self._noun} '{name}' is registered twice: in {_source(existing)} and in {_source(function)}. "
                "Rename one of the two functions."
            )
        self._functions[name] = function
        return function

    def remove_module(self, module: str) -> None:
        """Remove the functions that a module registered, before it is imported again."""
        self._functions = {
            name: function
            for name, function in self._functions.items()
            if getattr(function, "__module__", None) != module
        }

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._functions))

    def get(self, name: str) -> F:
        """Return the function called `name`. Raises ConfigError that suggests the nearest name."""
        if name not in self._functions:
            raise ConfigError(
                f"There is no {self._noun} '{name}'.{did_you_mean(name, self)} Available: {join_words(self)}."
            )
        return self._functions[name]

    def source_digest(self, name: str) -> str:
        """Hash of the file that defines a function. Cached results of the function are kept under it."""
        file = inspect.getsourcefile(self.get(name))
        return hashlib.blake2b(Path(file).read_bytes(), digest_size=8).hexdigest() if file else ""

    def keywords(self, name: str) -> dict[str, inspect.Parameter]:
        """The keyword-only parameters of a function: settings and values that the program passes."""
        parameters = inspect.signature(self.get(name)).parameters.values()
        return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}

    def build(self, name: str, settings: Mapping[str, Any], *arguments: Any, **runtime: Any) -> Any:
        """Call the function with `arguments`, the user's settings, and the runtime values for which it has keywords.

        Raises ConfigError as `check` does.
        """
        self.check(name, settings, runtime)
        accepted = {key: value for key, value in runtime.items() if key in self.keywords(name)}
        self.check_parameters(name, *arguments)
        return self.get(name)(*arguments, **settings, **accepted)

    def check_parameters(self, name: str, *arguments: object) -> None:
        """Raise ConfigError when a function can't be called with these arguments, whatever its keywords are."""
        signature = inspect.signature(self.get(name))
        given = dict.fromkeys(self.keywords(name))
        try:
            signature.bind(*arguments, **given)
        except TypeError as error:
            form = f"def {name}({', '.join(filter(None, (self._takes, '*', 'SETTINGS')))})"
            raise ConfigError(
                f"{self.kind}: '{name}'{self._place(name)} can't be called: {error}. Write it as `{form}`."
            ) from None

    def wrong_result(self, name: str, result: object) -> ConfigError:
        """The error for a function that returns something else than the functions of this kind."""
        return ConfigError(
            f"{self.kind}: '{name}'{self._place(name)} gives {described(result)}. It has to return {self._returns}."
        )

    def _place(self, name: str) -> str:
        """File and line of a function, as ` (mine.py, line 3)`; "" where they are not known."""
        try:
            return f" ({inspect.getsourcefile(self.get(name))}, line {inspect.getsourcelines(self.get(name))[1]})"
        except (OSError, TypeError):
            return ""

    def check(self, name: str, settings: Mapping[str, Any], runtime: Collection[str] = ()) -> None:
        """Raise ConfigError with all settings that do not exist, are missing, or are passed by the program."""
        keywords = self.keywords(name)
        available = [key for key in keywords if key not in runtime]
        problems = [
            f"{self.kind}.{key}: {self._noun} '{name}' has no such setting.{did_you_mean(key, available)} "
            f"It has: {join_words(available) or 'none'}."
            for key in settings
            if key not in keywords
        ]
        problems += [
            f"{self.kind}.{key} is given by the program and can't be set." for key in settings if key in runtime
        ]
        problems += [
            f"{self.kind}.{key}: {self._noun} '{name}' needs a value for this setting."
            for key in available
            if keywords[key].default is inspect.Parameter.empty and key not in settings
        ]
        if problems:
            raise ConfigError(problems)


def described(value: object) -> str:
    """A value of a wrong kind, as a message says it: `None`, `a tensor of shape [32]`, `an object of type 'tuple'`."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    name, shape, dtype = type(value).__name__, getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return f"an object of type '{name}'"
    return f"{'a tensor' if name == 'Tensor' else f'an object of type {name!r}'} of shape {list(shape)} ({dtype})"


def _source(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"


models: Registry[Any] = Registry("model", "spec", "an nn.Module")
datasets: Registry[Any] = Registry("dataset", "", "a ptrun.data.dataset.Data")
image_transforms: Registry[Any] = Registry(
    "image_transform", "", "a Transform, BatchTransform, MixTransform or Normalize of ptrun.transforms.transform"
)
steps = image_transforms  # the former name, for plugins written with it
losses: Registry[Any] = Registry(
    "loss", "outputs, targets", "a tensor with one number, shape [], that is the mean over the batch"
)
optimizers: Registry[Any] = Registry("optimizer", "model", "a torch.optim.Optimizer")
schedulers: Registry[Any] = Registry(
    "scheduler", "", "a function from the epoch, a float, to the factor of the learning rate, a float"
)
metrics: Registry[Any] = Registry("metric", "predictions", "one number")
loggers: Registry[Any] = Registry("logger", "", "an object with the methods start, log and close")
