"""Finds the user's own modules that plugins import, also those that a function of them imports once it is called."""

from __future__ import annotations

import ast
import contextlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType

from ptrun import plugins

_INSTALLED = ("site-packages", "dist-packages")
_NOT_THE_USERS = (Path(sysconfig.get_path("stdlib")).resolve(), Path(__file__).resolve().parent.parent)


def imported_modules(files: Sequence[str]) -> dict[str, Path]:
    """The user's own modules, other than plugins, that these plugins import: name → file.

    They are the modules that are imported by now, and those that an import statement of a plugin or of such a module
    names. They lie below the folder of one of these plugins, or below the working folder, and belong to no installed
    package. Without plugins, no module matters.
    """
    if not files:
        return {}
    paths = [Path(file).expanduser().resolve() for file in files]
    folders = {Path.cwd().resolve(), *(path.parent for path in paths)}
    found = {name: path for name, path in _loaded() if _is_the_users(path, folders)}
    unread = [*((path, "") for path in paths), *((path, _package(name, path)) for name, path in found.items())]
    while unread:
        for name in _names_in(*unread.pop()):
            path = _file_of(name) if name not in found else None
            if path is not None and _is_the_users(path, folders):
                found[name] = path
                unread.append((path, _package(name, path)))
    return found


def _loaded() -> Iterator[tuple[str, Path]]:
    for name, module in list(sys.modules.items()):
        # Not by getattr, at which some packages import more.
        file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if isinstance(file, str) and file.endswith(".py") and name != "__main__" and not plugins.is_plugin(name):
            yield name, Path(file).resolve()


def _is_the_users(path: Path, folders: set[Path]) -> bool:
    if set(_INSTALLED) & set(path.parts) or any(path.is_relative_to(folder) for folder in _NOT_THE_USERS):
        return False
    return any(path.is_relative_to(folder) for folder in folders)


def _package(name: str, path: Path) -> str:
    """The package of a module, to which its relative imports refer."""
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def _names_in(path: Path, package: str) -> Iterator[str]:
    """The modules that the import statements of a file name, wherever they stand, and the packages that hold these."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # its import will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            with contextlib.suppress(ImportError):  # more dots than packages
                base = resolve_name("." * node.level + (node.module or ""), package)
                for alias in node.names:  # each may be a module of a package, or anything in a module
                    yield from _with_packages(f"{base}.{alias.name}")


def _with_packages(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _file_of(name: str) -> Path | None:
    """The file of a module, found as an import would, but without the import of the packages that hold it."""
    folders, origin = None, None
    for part in name.split("."):
        # The whole name would need the packages to be imported.
        spec = PathFinder.find_spec(part, folders) if folders is None or folders else None
        if spec is None:
            return None
        folders, origin = list(spec.submodule_search_locations or ()), spec.origin
    return Path(origin).resolve() if origin and origin.endswith(".py") else None
