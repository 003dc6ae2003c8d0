"""More than four parameters are named where they are given, and no function is long."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "whalecam"
CODE = [
    *ROOT.glob("*.py"),
    *(path for name in ("benchmarks", "docs", "pages", "tests", "training") for path in (ROOT / name).rglob("*.py")),
    *PACKAGE.rglob("*.py"),
]
MAX_POSITIONAL, MAX_LINES = 4, 50


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


def test_a_long_function_is_seen() -> None:
    assert long_in("def f():\n" + "    a\n" * MAX_LINES + "def g():\n" + "    a\n" * (MAX_LINES - 1)) == ["f"]


def test_no_function_is_crowded() -> None:
    """But those of the command line, which click calls with every parameter by its name."""
    paths = [path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "cli")]
    found = {path.relative_to(PACKAGE).as_posix(): list(crowded_in(path.read_text("utf-8"))) for path in paths}
    assert {name: crowded for name, crowded in found.items() if crowded} == {}, "let the parameters be named"


@pytest.mark.parametrize("path", sorted(CODE), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_function_is_long(path: Path) -> None:
    assert long_in(path.read_text("utf-8")) == []
