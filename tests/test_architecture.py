"""The structure of the package: floors, one owner for each third-party package, sizes, and what README says of it."""

from __future__ import annotations

import ast
import functools
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "ptrun"
DOCS = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_MEDIAN_LINES = 300, 50, 10

# Which folder may import a third-party package.
OWNERS: dict[str, set[str]] = {
    "hydra": {"config"},
    "omegaconf": {"config"},
    "matplotlib": {"reports"},
    "torchcodec": {"data"},
    "PIL": {"data"},
    "pyarrow": {"data", "runs"},
    "rich": {"terminal", "device"},  # device: before the random generators are seeded
    "sklearn": {"data", "metrics", "cli"},
    "yaml": {"config", "runs", "cli"},
    "onnx": {"export"},
    "onnxruntime": {"export"},
    "torchvision": {"models", "data", "transforms", "cli"},
    "timm": {"models"},
    "safetensors": {"models", "export"},
    "optuna": {"sweeps"},
    "cmaes": {"sweeps"},
    "ray": {"sweeps"},
}


def readme_section(title: str) -> str:
    """The text of a section of README.md."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


# The rows of README's table, from the lowest floor to the highest. Each imports only from those before it.
LAYOUT = re.findall(r"^\| `(\w+(?:\.py|/))` \|", readme_section("How the code is laid out"), re.MULTILINE)
FLOORS = [name.removesuffix(".py").removesuffix("/") for name in LAYOUT]


def modules() -> list[Path]:
    """All modules of the package."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "conf")


def relative(path: Path) -> str:
    """The path of a module within the package."""
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    """The folder at the top of the package that holds a module, or the name of a module that stands there itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    """The name by which a module is imported."""
    return ".".join(("ptrun", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@functools.cache
def syntax_tree(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also within functions and for typing."""
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if is_own_module(name) else node.module


def is_own_module(name: str) -> bool:
    """Whether the package has a module or folder of this name."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return name.startswith("ptrun.") and (path.with_suffix(".py").is_file() or path.is_dir())


def upward_imports(path: Path) -> list[str]:
    """The imports of a file that lead to a higher floor."""
    here = room(path)
    own = (name for name in imports(path) if name.split(".")[0] == "ptrun")
    rooms = {name.split(".")[1] if "." in name else "__init__" for name in own}
    higher = [other for other in sorted(rooms - {here}) if FLOORS.index(other) > FLOORS.index(here)]
    return [f"{relative(path)} imports {other}" for other in higher]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function of a module."""
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{relative(path)}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


class WithoutTexts(ast.NodeTransformer):
    """Empties the docstrings and messages of a module; comments are not part of its syntax tree."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node


@functools.cache
def code_without_texts(path: Path) -> str:
    """The code of a module without docstrings, messages and comments."""
    return ast.unparse(WithoutTexts().visit(ast.parse(path.read_text(encoding="utf-8"))))


def test_readme_lists_each_folder_and_module_at_the_top_of_the_package():
    names = {path.relative_to(PACKAGE).parts[0] for path in modules()}
    assert sorted(LAYOUT) == sorted(name if name.endswith(".py") else f"{name}/" for name in names)


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

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"cycle: {' → '.join((*path, name))}"
        if name in finished:
            return
        for imported in graph.get(name, ()):
            visit(imported, (*path, name))
        finished.add(name)

    for name in graph:
        if name != "ptrun":
            visit(name, ())


def test_each_third_party_package_has_its_owner():
    problems = [
        f"{relative(path)} imports {name}"
        for path in modules()
        for name in imports(path)
        if name.split(".")[0] in OWNERS and room(path) not in OWNERS[name.split(".")[0]]
    ]
    assert problems == []


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
    users = [path for path in modules() if call in code_without_texts(path)]
    assert [relative(path) for path in users if room(path) not in allowed] == []


def test_only_the_device_folder_names_devices():
    names = [
        f"{relative(path)}, line {node.lineno}"
        for path in modules()
        if room(path) != "device"
        for node in ast.walk(syntax_tree(path))
        if isinstance(node, ast.Constant) and re.fullmatch(r"(cuda|mps)(:\d*)?", str(node.value))
    ]
    assert names == []


def test_no_default_stands_beside_a_config_value():
    """Defaults are in the YAML files. A `get` with a second value would be another one, and would hide a mistake."""
    readers = FLOORS[FLOORS.index("config") :]
    problems = [
        f"{relative(path)}: {line.strip()}"
        for path in modules()
        if room(path) in readers
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\b(config|settings|cfg)\.get\([^()]*,", line)
    ]
    assert problems == []


def test_settings_are_read_in_build_alone():
    """Elsewhere, a change of a setting's name or meaning would have to be looked for."""
    reads = re.compile(r"\bconfig\.train\.|\bconfig\.\w+\.settings\b")
    problems = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in modules()
        if room(path) not in ("config", "build")
        for line in path.read_text(encoding="utf-8").splitlines()
        if reads.search(line)
    ]
    assert problems == []


def test_package_init_files_are_empty():
    files = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    assert [relative(path) for path in files if path.read_text(encoding="utf-8").strip()] == []


def test_each_module_states_its_purpose():
    trees = {path: syntax_tree(path) for path in modules()}
    assert [relative(path) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_sizes():
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE_LINES} == {}
    sizes = [(length, name) for path in modules() for name, length in functions(path)]
    assert [(length, name) for length, name in sizes if length > MAX_FUNCTION_LINES] == []
    assert statistics.median(length for length, _ in sizes) <= MAX_MEDIAN_LINES


def test_folders_below_build_receive_values_instead_of_the_configuration():
    """Settings are read in build/ and above; config/ makes them."""
    lower = set(FLOORS[: FLOORS.index("build")]) - {"config"}
    readers = [path for path in modules() if "ptrun.config.run_config" in imports(path)]
    assert [relative(path) for path in readers if room(path) in lower] == []


def test_each_module_has_a_test_file_in_the_same_folder_of_the_tests():
    tested = [path for path in modules() if path.name not in ("__init__.py", "__main__.py")]
    tests = {path: ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}") for path in tested}
    assert [relative(path) for path, test in tests.items() if not test.is_file()] == []


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", *DOCS, "tests/faults/README.md"]
)
def test_paths_named_in_a_document_exist(document: str):
    text = (ROOT / document).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:ptrun|tests|benchmarks|conf)/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_learners_path_names_files():
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| (.+) \|$", readme_section("A learner's path"), re.MULTILINE)
    assert len(rows) > 10
    for idea, command, files in rows:
        assert command.startswith("ptrun "), idea
        assert all((ROOT / path).is_file() for path in re.findall(r"`(.+?)`", files)), idea
