"""Where YAML files are looked for: the shipped `conf` folder, and the user's own folders, whose files win."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from ptrun.errors import ConfigError


@cache  # asked for hundreds of times by `ptrun list`
def shipped_conf() -> Path:
    """The shipped YAML files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def find_file(group: str, name: str, folders: Iterable[Path]) -> Path | None:
    """The YAML file of a component or recipe in the first of these folders that has one."""
    paths = (folder / group / f"{name}.yaml" for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def user_conf(folder: Path | None = None) -> Path | None:
    """The folder `conf` in the working folder; None when there is none or when it is the shipped one."""
    path = (folder or Path.cwd()) / "conf"
    return path if path.is_dir() and path.resolve() != shipped_conf().resolve() else None


def conf_folders(config_dir: str | None) -> tuple[Path, ...]:
    """The user's folders, the first one wins: `--config-dir`, then `conf` in the working folder. Raises ConfigError."""
    own = user_conf()
    if config_dir is None:
        return (own,) if own else ()
    folder = Path(config_dir).expanduser().resolve()
    if not folder.is_dir():
        raise ConfigError(f"--config-dir: there is no folder {folder}.")
    return (folder, own) if own and own.resolve() != folder else (folder,)


def replaced_files(folders: Sequence[Path]) -> list[Path]:
    """The user's files that are used instead of the shipped files of the same name."""
    shipped = shipped_conf()
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.yaml"))
        if (shipped / path.relative_to(folder)).is_file()
    ]
