"""More than four parameters are named where they are given, and no function is long."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "whalecam"
MAX_POSITIONAL, MAX_LINES = 4, 50
LEFT: dict[str, int] = {
    "analysis": 1,
    "app": 6,
    "assessment": 3,
    "audit": 4,
    "data": 3,
    "demo": 3,
    "explain": 1,
    "network": 11,
    "output": 1,
    "remedies": 6,
    "store": 2,
}
"""By package: its public functions with more positional parameters; those of the command line are given by name."""


def crowded_in(source: str) -> Iterator[str]:
    """The public functions and methods with more than MAX_POSITIONAL parameters that may be given by their place."""
    tree = ast.parse(source)
    methods = {id(node) for holder in ast.walk(tree) if isinstance(holder, ast.ClassDef) for node in holder.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            own = id(node) in methods and not any("staticmethod" in ast.unparse(mark) for mark in node.decorator_list)
            if len(node.args.posonlyargs) + len(node.args.args) - own > MAX_POSITIONAL:
                yield node.name


def long_in(source: str) -> list[str]:
    """The functions of more than MAX_LINES lines, docstring included."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= MAX_LINES]


def test_a_crowded_function_is_seen() -> None:
    functions = ("def f(a, b, c, d, e): ...", "def g(a, b, c, d, *, e): ...", "def _h(a, b, c, d, e): ...")
    assert list(crowded_in("\n".join(functions))) == ["f"]


def test_no_package_has_more_crowded_functions_than_before() -> None:
    counted = Counter[str]()
    for path in PACKAGE.rglob("*.py"):
        package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if package != "cli" and (crowded := list(crowded_in(path.read_text("utf-8")))):
            counted[package] += len(crowded)
    assert counted == LEFT, "write down what is fewer; where it is more, let the parameters be named"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_function_is_long(path: Path) -> None:
    assert long_in(path.read_text("utf-8")) == []
