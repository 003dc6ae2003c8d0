"""Rows that cross modules have types: no public function gives or takes an untyped one, but where nobody knows it."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "whalecam"
UNKNOWN = {
    "arrays.records",  # a table whose columns only its caller knows; one that knows them takes `typed_records`
    "data.readers.boxes.coco.dicts",  # of a JSON file that another tool wrote
    "network.checkpoint_files.config_beside",  # of a checkpoint's folder, as another library wrote it
    "network.preparation.of_transformers",
    "network.transformers_model.build",
    "network.transformers_model.classifier_name",
    "network.transformers_model.config_of",
    "network.transformers_model.is_transformers",
    "network.transformers_model.native_size",
    "store.migration.present_manifest",  # of a run of any version
    "store.json_file.read_json",  # of any file of a run folder, which its readers check
}
"""The functions that rightly give or take an untyped mapping: what is in it is not known until it was looked at."""


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


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


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


def test_rows_that_cross_modules_are_typed() -> None:
    found = {
        f"{module_of(path)}.{name}" for path in PACKAGE.rglob("*.py") for name in untyped_in(path.read_text("utf-8"))
    }
    assert found == UNKNOWN, "give the row a TypedDict or a dataclass"
