"""Copies of what the jobs of a sweep are made from: the user's YAML files, plugins, and modules that these import.

Processes that work on a sweep later read the copies, so that edits made since change none of its jobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun import plugins
from ptrun.files.atomic import replacing
from ptrun.runs import find
from ptrun.sweeps.imported_modules import imported_modules

_SOURCES = "sources"  # key of sweep.json, and folder beside it


def freeze(folder: Path, conf_folders: Sequence[Path], plugin_files: Sequence[str]) -> dict[str, Any]:
    """Copy the sources into the folder of a sweep. Returns what sweep.json says of them."""
    paths = [Path(file).expanduser().resolve() for file in plugin_files]
    copies = [(path, f"plugin-{number}/{path.name}") for number, path in enumerate(paths) if path.is_file()]
    modules = imported_modules(plugin_files)
    copies += [(path, f"modules/{name}.py") for name, path in sorted(modules.items())]
    for number, conf in enumerate(conf_folders):
        copies += [(path, f"conf-{number}/{path.relative_to(conf)}") for path in sorted(conf.rglob("*.yaml"))]
    contents = [(path, name, path.read_bytes()) for path, name in copies]
    digest = hashlib.blake2b(repr([(name, content) for _, name, content in contents]).encode(), digest_size=6)
    place = folder / _SOURCES / digest.hexdigest()
    for _, name, content in contents:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        with replacing(place / name) as file:  # others may read it already
            file.write(content)
    for number in range(len(conf_folders)):
        (place / f"conf-{number}").mkdir(parents=True, exist_ok=True)
    within = place.relative_to(folder).as_posix()
    return {
        "conf_folders": [f"{within}/conf-{number}" for number in range(len(conf_folders))],
        "files": {str(path.resolve()): f"{within}/{name}" for path, name, _ in contents},
        "modules": {name: str(path) for name, path in sorted(modules.items())},
    }


def thaw(folder: Path, plan: Mapping[str, Any]) -> tuple[Path, ...]:
    """The folders with the YAML files of a sweep, and from here on its plugins, as they were when it was started."""
    frozen = plan.get(_SOURCES)
    if frozen is None:  # of an earlier version
        return tuple(map(Path, plan["conf_folders"]))
    files = {Path(path): (folder / copy).resolve() for path, copy in frozen["files"].items()}
    modules = {name: Path(path) for name, path in frozen.get("modules", {}).items()}
    plugins.use_copies({path: copy for path, copy in files.items() if path.suffix == ".py"}, modules)
    return tuple((folder / path).resolve() for path in frozen["conf_folders"])


def changes(folder: Path, conf_folders: Sequence[Path], plugin_files: Sequence[str]) -> list[str]:
    """Sentences on the sources that are others than when this sweep was started last."""
    frozen = find.read_plan(folder).get(_SOURCES)
    if frozen is None:
        return []
    used = {Path(file).expanduser().resolve() for file in plugin_files}
    used |= {path.resolve() for conf in conf_folders for path in conf.rglob("*.yaml")}
    used |= set(imported_modules(plugin_files).values())
    return list(_sentences(folder, frozen["files"], used))


def _sentences(folder: Path, copies: Mapping[str, str], used: set[Path]) -> Iterator[str]:
    for text, copy in copies.items():
        path, before = Path(text), folder / copy
        if path not in used or not path.is_file() or not before.is_file() or path.read_bytes() == before.read_bytes():
            continue
        then = (
            "Jobs that are done keep their results; the others run with it as it is now."
            if path.suffix == ".py"
            else "Jobs whose settings it changes are new jobs; those with the settings of before stay in the table."
        )
        yield f"{path} was edited since this sweep was started ({before} is the file of then). {then}"
