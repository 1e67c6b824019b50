"""What the source may not do, read from its syntax tree: caches, hidden randomness, tolerances, wrong imports."""

import ast
import sys
from pathlib import Path

import pytest

import refq

PACKAGE = Path(refq.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.glob("*.py"))
STANDARD_ONLY = [PACKAGE / f"{m}.py" for m in ("formats", "rules", "channels", "encodings", "accumulation")] + sorted(
    (PACKAGE / "spec").glob("*.py")
)
MAY_IMPORT = ("refq.spec", "refq.formats", "refq.rules", "refq.channels", "refq.encodings", "refq.accumulation")


def name(path):
    return str(path.relative_to(PACKAGE.parent))


def dotted(node):
    """`np.random.default_rng` of an attribute chain."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([getattr(node, "id", ""), *reversed(parts)])


def is_kernel(node):
    if not isinstance(node, ast.FunctionDef):
        return False
    decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(getattr(d, "id", "") == "njit" for d in decorators)


def kernels():
    return [
        pytest.param(path, node, id=f"{path.stem}.{node.name}")
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if is_kernel(node)
    ]


def imported(tree):
    """Every module a file imports, by full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def names_from_spec(tree):
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("refq.spec")
        for alias in node.names
    }


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_disk_cache_no_random_no_fastmath(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword):
            assert node.arg not in ("cache", "fastmath"), f"line {node.value.lineno}"
        if isinstance(node, ast.Attribute):
            assert "random" not in dotted(node).split("."), f"line {node.lineno}"
    assert not {"random", "time", "os", "secrets"} & set(imported(ast.parse(path.read_text())))


@pytest.mark.parametrize("path", STANDARD_ONLY, ids=name)
def test_the_definition_stands_on_the_standard_library(path):
    for module in imported(ast.parse(path.read_text())):
        assert module.split(".")[0] in sys.stdlib_module_names or module.startswith(MAY_IMPORT), module


@pytest.mark.parametrize(("path", "kernel"), kernels())
def test_no_kernel_uses_the_definition(path, kernel):
    used = {node.id for node in ast.walk(kernel) if isinstance(node, ast.Name)}
    assert not used & names_from_spec(ast.parse(path.read_text()))


@pytest.mark.parametrize(("path", "kernel"), kernels())
def test_kernels_are_plain(path, kernel):
    assert ast.get_docstring(kernel) or kernel.name.startswith("_")
    inner = [node for statement in kernel.body for node in ast.walk(statement)]
    assert not any(isinstance(node, ast.ClassDef | ast.Dict | ast.Try | ast.Global) for node in inner)
    assert not any(isinstance(node, ast.ImportFrom | ast.Import) for node in inner)


def test_there_are_kernels_to_check():
    assert len(kernels()) >= 20


def test_the_spec_never_imports_numpy_or_numba_even_indirectly():
    for path in (PACKAGE / "spec").glob("*.py"):
        assert not {"numpy", "numba"} & {m.split(".")[0] for m in imported(ast.parse(path.read_text()))}


@pytest.mark.parametrize("path", TESTS, ids=lambda p: p.name)
def test_tests_compare_exactly(path):
    words = {"assert_allclose", "assert_almost_equal", "assert_array_almost_equal", "approx", "isclose", "allclose"}
    tree = ast.parse(path.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not used & words


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 220
