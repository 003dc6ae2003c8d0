"""What a verb imports: a command that reads a run must not wait for libraries that train, draw or serve."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

HEAVY = {"torch", "torchvision", "timm", "fastai", "scipy", "sklearn", "matplotlib", "cv2", "plotly", "streamlit"}
HEAVY |= {"jinja2", "umap", "ray", "onnxruntime", "defusedxml"}
OF_TABLES = {"duckdb", "pandas"}
"""What a verb that reads no table does without as well."""
READS_NO_TABLE = ("review",)
VERBS = (
    "info RUN",
    "info RUN --json",
    "export RUN --out FOLDER/all.csv --only all",
    "review RUN IMAGE --verdict flag --reviewer Ana",
    "import RUN FOLDER/all.csv",
)
PROGRAM = """
import json, os, sys
from whalecam.cli import main
verbs, heavy = json.loads(sys.argv[1]), sys.argv[2:]
for words in verbs:
    sys.stdout.flush()
    if not (child := os.fork()):
        sys.argv, ended, out = ["whalecam", *words], 0, os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            main()
        except SystemExit as end:
            ended = end.code
        sys.stdout.flush()
        os.write(out, (json.dumps([words[0], ended, sorted(set(heavy) & set(sys.modules))]) + "\\n").encode())
        os._exit(0)
    os.waitpid(child, 0)
"""
"""Each verb in a process of its own, forked where only the command line is imported, which takes no time."""


def test_verbs_that_read_a_run_import_nothing_that_trains_draws_or_serves(runs: Path, tmp_path: Path) -> None:
    from whalecam.store.run import open_run

    demo = runs / "demo"
    image = sorted(open_run(demo).audited())[0]
    there = {"RUN": str(demo), "FOLDER": str(tmp_path), "IMAGE": image}
    verbs = [_filled(verb, there) for verb in VERBS]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(verbs), *HEAVY, *OF_TABLES],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    needed = [[] if verb.split()[0] in READS_NO_TABLE else sorted(OF_TABLES) for verb in VERBS]
    assert found == [[verb.split()[0], 0, needs] for verb, needs in zip(VERBS, needed, strict=True)], done.stderr


def _filled(verb: str, there: dict[str, str]) -> list[str]:
    for name, value in there.items():
        verb = verb.replace(name, value)
    return verb.split()


@pytest.mark.parametrize(
    ("start", "forbidden"),
    [
        # What `audit` imports before its first row; torch and timm it needs.
        ("whalecam.api", {"fastai", "sklearn", "scipy", "matplotlib", "jinja2", "plotly", "streamlit"}),
        ("whalecam.audit.run_audit", {"fastai", "sklearn", "scipy", "matplotlib", "jinja2", "plotly", "streamlit"}),
        # What `retrain` imports where it trains no body.
        ("whalecam.remedies.retraining", {"fastai", "sklearn", "scipy", "matplotlib", "jinja2", "plotly", "streamlit"}),
        ("whalecam.app.screens.overview", {"torch", "fastai", "sklearn", "scipy", "matplotlib", "cv2", "jinja2"}),
    ],
)
def test_nothing_heavy_stands_at_the_top_of_what_starts_with_it(start: str, forbidden: set[str]) -> None:
    seen: dict[str, str] = {start: ""}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        for name in _imported(module):
            if name not in seen:
                seen[name] = module
                waiting += [name] if name.startswith("whalecam") else []
    assert len(seen) > 50, "the walk met the package"
    found = {name: seen[name] for name in seen if name.split(".")[0] in forbidden}
    assert found == {}


def _imported(module: str) -> Iterator[str]:
    """What a module of ours imports while it is itself imported: not in functions, nor for the type checker alone."""
    path = _path(module)
    if path is None:
        return
    for statement in _run_on_import(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            assert statement.module and not statement.level, f"{path} imports by a relative name"
            names = [statement.module, *(f"{statement.module}.{alias.name}" for alias in statement.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1) if end == 1 or parts[0] == "whalecam")


def _run_on_import(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            continue
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _run_on_import(list(getattr(statement, "body", [])))


def _path(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)
