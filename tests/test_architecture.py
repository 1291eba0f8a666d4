"""The house stands: floors, no cycles, one owner for each third-party system, sizes, banned calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ptrun"

FLOORS: dict[str, int] = {
    "__init__": 0, "errors": 0, "spec": 0,
    "fieldtypes": 0, "finite": 2, "fused": 2, "draws": 1, "formats": 1, "registry": 1, "samples": 1, "schema": 1, "seeds": 0, "settings": 1, "weights": 1,
    "models": 2, "data": 2, "steps": 2, "transforms": 2, "losses": 2, "optimizers": 2, "schedulers": 2, "predictions": 2, "metrics": 2, "sums": 2, "views": 2, "loggers": 2,
    "batches": 3, "catalog": 3, "changes": 3, "checkpoint": 3, "choices": 3, "console": 3, "plugins": 2, "rundir": 3, "runtime": 3, "signals": 3, "startup": 3, "writer": 3,
    "experiment": 4, "workload": 4, "recorded": 3, "replay": 2, "guard": 4, "memory": 3, "losssum": 4, "loop": 4, "config": 4,
    "composition": 5, "state": 5,
    "build": 6, "evaluation": 6, "measures": 5, "prepared": 5, "plots": 6, "request": 6, "saver": 6, "sweeps": 6, "usage": 6,
    "commands": 7,
    "cli": 8, "__main__": 9,
}  # fmt: skip

# Within a folder, files may import each other; on floor 2 metrics and sums build on predictions, transforms on steps.
SAME_FLOOR = {
    ("metrics", "predictions"),
    ("sums", "predictions"),
    ("transforms", "steps"),
    ("loop", "experiment"),
    ("loop", "losssum"),
    ("loop", "guard"),
    ("guard", "experiment"),
    ("guard", "losssum"),
    ("recorded", "runtime"),
    ("memory", "runtime"),
}

# Names that only `ptrun.train`, the way in from Python, reaches upwards for, at call time.
UPWARD = {"__init__"}

OWNERS: dict[str, set[str]] = {
    "hydra": {"composition"},
    "omegaconf": {"composition"},
    "matplotlib": {"plots"},
    "torchcodec": {"data"},
    "PIL": {"data"},
    "rich": {"console"},
    "sklearn": {"data", "metrics", "commands"},
    "yaml": {"schema", "rundir", "commands"},
    "torchvision": {"models", "data", "steps", "commands"},
}


def files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "conf" not in path.parts)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported module of a file (dotted), and whether it is imported for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, id(node) in typing_only) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield (full if _is_module(full) else node.module), id(node) in typing_only


def _is_module(dotted: str) -> bool:
    if not dotted.startswith("ptrun."):
        return False
    path = PACKAGE.joinpath(*dotted.split(".")[1:])
    return path.with_suffix(".py").is_file() or path.is_dir()


def breaches(path: Path) -> list[str]:
    """Imports of our own modules that go up or sideways."""
    here = room(path)
    found = []
    for module, typing_only in imports(path):
        if typing_only or not module.startswith("ptrun.") or here in UPWARD:
            continue
        there = module.split(".")[1]
        if there == here or (here, there) in SAME_FLOOR:
            continue
        if FLOORS[there] >= FLOORS[here]:
            found.append(f"{path.relative_to(PACKAGE)} (floor {FLOORS[here]}) imports {there} (floor {FLOORS[there]})")
    return found


def test_every_room_has_a_floor():
    assert {room(path) for path in files()} == set(FLOORS)


def test_imports_go_downward_only():
    assert [breach for path in files() for breach in breaches(path)] == []


def test_a_breach_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "errors.py").write_text(
        "def late():\n    from ptrun.cli import main\n    return main\n", encoding="utf-8"
    )
    (tmp_path / "cli.py").write_text("from ptrun import errors\n", encoding="utf-8")
    monkeypatch.setattr("test_architecture.PACKAGE", tmp_path)
    assert breaches(tmp_path / "errors.py") == ["errors.py (floor 0) imports cli (floor 8)"]
    assert breaches(tmp_path / "cli.py") == []


def test_folders_have_no_cycles():
    graph: dict[str, set[str]] = {}
    for path in files():
        name = ".".join(("ptrun", *path.relative_to(PACKAGE).with_suffix("").parts))
        graph[name] = {
            module for module, typing_only in imports(path) if module.startswith("ptrun.") and not typing_only
        }
    seen: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"cycle: {' → '.join((*above, name))}"
        if name in seen:
            return
        for other in graph.get(name, ()):
            visit(other, (*above, name))
        seen.add(name)

    for name in [each for each in graph if each != "ptrun.__init__"]:
        visit(name, ())


def test_each_third_party_system_has_its_owner():
    found = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in files()
        for module, _ in imports(path)
        if module.split(".")[0] in OWNERS and room(path) not in OWNERS[module.split(".")[0]]
    ]
    assert found == []


@pytest.mark.parametrize(
    ("call", "allowed"),
    [("torch.load(", {"checkpoint", "weights"}), ("torch.save(", {"checkpoint", "weights"}), ("hydra.utils", set()), (".backward(", {"runtime", "loop", "commands"}), ("weights_only=False", set()), ("add_safe_globals", set())],
)  # fmt: skip
def test_banned_calls(call: str, allowed: set[str]):
    found = []
    for path in files():
        code = "\n".join(
            line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
        )
        if call in code and room(path) not in allowed:
            found.append(str(path.relative_to(PACKAGE)))
    assert found == []


def test_no_default_stands_beside_a_config_value():
    """Defaults stand in YAML: whoever reads a setting finds it there, so `get` with a second value hides a mistake."""
    found = [
        f"{path.name}: {line.strip()}"
        for path in files()
        if FLOORS[room(path)] > 2  # components get plain settings and know no configuration
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\b(config|settings|cfg)\.get\([^()]*,", line)
    ]
    assert found == []


def test_package_init_files_are_empty():
    assert [
        str(p) for p in PACKAGE.rglob("__init__.py") if p.parent != PACKAGE and p.read_text(encoding="utf-8").strip()
    ] == []


def test_every_module_says_its_purpose_and_invariant():
    for path in files():
        text = path.read_text(encoding="utf-8")
        if not text:
            continue
        docstring = ast.get_docstring(ast.parse(text))
        assert docstring, f"{path} has no docstring"
        assert path.name.startswith("__") or "Invariant" in docstring, f"{path} names no invariant"


def test_sizes():
    long_files = {
        str(p.relative_to(PACKAGE)): n for p in files() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 360
    }
    assert long_files == {}
    lengths = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append(length)
                assert length <= 60, f"{path.name}: {node.name} has {length} lines"
    assert sorted(lengths)[len(lengths) // 2] <= 12
