"""Rows that cross modules have types: how many functions still give or take untyped ones, which may only be fewer."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "whalecam"
LEFT: dict[str, int] = {
    "arrays": 1,
    "config": 4,
    "data": 3,
    "explain": 6,
    "network": 16,
    "remedies": 2,
    "store": 2,
}
"""By package: its public functions that give or take a `dict[str, Any]` or `Mapping[str, Any]`."""


def is_untyped(annotation: ast.expr | None) -> bool:
    text = "" if annotation is None else ast.unparse(annotation)
    return "dict[str, Any]" in text or "Mapping[str, Any]" in text


def untyped_in(source: str) -> list[str]:
    """The public functions with such a parameter or result, by name; `**options` are what a caller named himself."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    given = {f.name: (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs) for f in functions}
    return [
        function.name
        for function in functions
        if not function.name.startswith("_")
        and (is_untyped(function.returns) or any(is_untyped(name.annotation) for name in given[function.name]))
    ]


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "code",
    [
        "def f() -> dict[str, Any]: ...",
        "def f(row: Mapping[str, Any]) -> None: ...",
        "def f(*, rows: 'list[dict[str, Any]]') -> None: ...",
        "class C:\n    def f(self, a: int, row: dict[str, Any] | None = None) -> None: ...",
    ],
)
def test_an_untyped_row_is_seen(code: str) -> None:
    assert untyped_in(code) == ["f"]


def test_private_functions_and_named_options_are_none() -> None:
    assert untyped_in("def _f() -> dict[str, Any]: ...\ndef g(**options: Any) -> dict[str, int]: ...") == []


def test_no_package_has_more_untyped_rows_than_before() -> None:
    found = Counter[str]()
    for path in PACKAGE.rglob("*.py"):
        if untyped := untyped_in(path.read_text("utf-8")):
            found[package_of(path)] += len(untyped)
    assert found == LEFT, "write down what is fewer; where it is more, give the row a TypedDict or a dataclass"
