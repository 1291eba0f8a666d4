"""The layout of the package holds: imports go down, no cycles, one owner for each third-party system, sizes, banned calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ptrun"

# Each folder, and each module beside them, imports only from those above it. Imports for types count too.
FLOORS = (
    "version",
    "errors",
    "spec",
    "rng",
    "process",
    "files",
    "terminal",
    "registry",
    "plugins",
    "device",
    "transforms",
    "models",
    "losses",
    "metrics",
    "optim",
    "data",
    "loggers",
    "catalog",
    "config",
    "reports",
    "engine",
    "evaluation",
    "checkpoint",
    "build",
    "runs",
    "sweeps",
    "cli",
    "__init__",
    "__main__",
)

OWNERS: dict[str, set[str]] = {
    "hydra": {"config"},
    "omegaconf": {"config"},
    "matplotlib": {"reports"},
    "torchcodec": {"data"},
    "PIL": {"data"},
    "rich": {"terminal"},
    "sklearn": {"data", "metrics", "cli"},
    "yaml": {"config", "runs", "cli"},
    "torchvision": {"models", "data", "transforms", "cli"},
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "conf")


def room(path: Path) -> str:
    """The folder at the top of the package that holds a module, or the module that stands there itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    return ".".join(("ptrun", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file and for whatever purpose."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if is_own_module(name) else node.module


def is_own_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return name.startswith("ptrun.") and (path.with_suffix(".py").is_file() or path.is_dir())


def upward_imports(path: Path) -> list[str]:
    """What a file imports from its own floor's neighbours above."""
    here = room(path)
    rooms = {module.split(".")[1] if "." in module else "__init__" for module in imports(path) if module.split(".")[0] == "ptrun"}  # fmt: skip
    above = [other for other in sorted(rooms - {here}) if FLOORS.index(other) > FLOORS.index(here)]
    return [f"{path.relative_to(PACKAGE)} imports {other}" for other in above]


def test_every_folder_has_a_floor():
    assert {room(path) for path in modules()} == set(FLOORS)


def test_imports_go_downward_only():
    assert [problem for path in modules() if room(path) != "__init__" for problem in upward_imports(path)] == []


def test_an_upward_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "main.py").write_text("from ptrun import errors\n", encoding="utf-8")
    (tmp_path / "errors.py").write_text("def late():\n    from ptrun.cli import main\n", encoding="utf-8")
    (tmp_path / "spec.py").write_text("if TYPE_CHECKING:\n    from ptrun.cli.main import A\n", encoding="utf-8")
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    assert upward_imports(tmp_path / "errors.py") == ["errors.py imports cli"]
    assert upward_imports(tmp_path / "spec.py") == ["spec.py imports cli"]
    assert upward_imports(tmp_path / "cli" / "main.py") == []


def test_no_module_imports_itself_through_others():
    graph = {dotted(path): {name for name in imports(path) if name.startswith("ptrun.")} for path in modules()}
    finished: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"cycle: {' → '.join((*above, name))}"
        if name in finished:
            return
        for other in graph.get(name, ()):
            visit(other, (*above, name))
        finished.add(name)

    for name in graph:
        if name != "ptrun":
            visit(name, ())


def test_each_third_party_system_has_its_owner():
    found = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in modules()
        for module in imports(path)
        if module.split(".")[0] in OWNERS and room(path) not in OWNERS[module.split(".")[0]]
    ]
    assert found == []


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ("torch.load(", {"checkpoint", "models"}),
        ("torch.save(", {"checkpoint"}),
        ("hydra.utils", set()),
        (".backward(", {"engine", "device", "cli"}),
        ("weights_only=False", set()),
        ("add_safe_globals", set()),
    ],
)
def test_banned_calls(call: str, allowed: set[str]):
    found = []
    for path in modules():
        lines = path.read_text(encoding="utf-8").splitlines()
        code = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
        if call in code and room(path) not in allowed:
            found.append(str(path.relative_to(PACKAGE)))
    assert found == []


def test_no_default_stands_beside_a_config_value():
    """Defaults stand in YAML: whoever reads a setting finds it there, so `get` with a second value hides a mistake."""
    readers = FLOORS[FLOORS.index("config") :]
    found = [
        f"{path.name}: {line.strip()}"
        for path in modules()
        if room(path) in readers
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\b(config|settings|cfg)\.get\([^()]*,", line)
    ]
    assert found == []


def test_package_init_files_are_empty():
    files = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    assert [str(path) for path in files if path.read_text(encoding="utf-8").strip()] == []


def test_every_module_says_its_purpose():
    texts = {path: path.read_text(encoding="utf-8") for path in modules()}
    assert [str(path) for path, text in texts.items() if text and not ast.get_docstring(ast.parse(text))] == []


def test_sizes():
    sources = {path: path.read_text(encoding="utf-8") for path in modules()}
    lines = {str(path.relative_to(PACKAGE)): len(text.splitlines()) for path, text in sources.items()}
    assert {name: count for name, count in lines.items() if count > 360} == {}
    functions = [
        (f"{path.name}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for path, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    ]
    assert [name for name, length in functions if length > 60] == []
    lengths = sorted(length for _, length in functions)
    assert lengths[len(lengths) // 2] <= 12
