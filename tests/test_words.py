"""The words that the glossary (docs/concepts.md) replaced: none of them is a name in the package any more."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

BANNED = {
    "auto_verdict": "assessment",
    "auto_verdicts": "ASSESSMENTS",
    "excess": "attention_score",
    "excess_label": "attention_score_label",
    "excess_threshold": "attention_threshold",
    "leak_label": "background_share_label",
    "licence": "exactness",
    "licences": "EXACTNESS",
    "needs_colour": "reliance_color",
    "needs_property": "reliance_on",
    "needs_swap": "reliance_swap",
    "needs_threshold": "reliance_threshold",
    "p_water_only": "background_only_p",
    "residual": "completeness_error",
    "swap_correct": "swapped_accuracy",
    "suspect_verdicts": "SUSPECT_ASSESSMENTS",
    "water_predicted": "background_only_predicted",
    "witness": "BackgroundTest",
}
"""Word → the one that takes its place."""


def names_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that code gives: of variables, parameters, functions, classes and fields; with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr, node.lineno
        elif isinstance(node, ast.alias):
            yield node.asname or node.name, 0
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno


def banned_in(text: str) -> list[tuple[str, int]]:
    return [(name, line) for name, line in names_in(ast.parse(text)) if name.strip("_").lower() in BANNED]


@pytest.mark.parametrize(
    "code",
    [
        "excess = 1",
        "def licence(): ...",
        "def f(residual): ...",
        "class Witness: ...",
        "self.swap_correct = 0",
        "f(needs_swap=1)",
        "AUTO_VERDICTS = ()",
        "from a import b as _excess",
        "x: int\nfor excess in (): ...",
    ],
)
def test_a_banned_name_is_found(code: str) -> None:
    assert len(banned_in(code)) == 1


def test_words_in_texts_and_in_longer_names_are_none() -> None:
    assert banned_in("access = 'excess'\nprint(excessive, licence_of)\nrow['needs_swap']") == []


@pytest.mark.parametrize("path", sorted((ROOT / "whalecam").rglob("*.py")), ids=lambda path: path.name)
def test_no_module_has_a_banned_name(path: Path) -> None:
    assert banned_in(path.read_text(encoding="utf-8")) == []
