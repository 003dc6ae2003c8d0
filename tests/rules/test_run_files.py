"""The names of a run folder's files and folders: `whalecam/store/run.py` alone knows them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from whalecam.store import run

NAMES = {
    *(run.MANIFEST, run.METRICS, run.JOURNAL, run.JOB, run.JOB_LOG, run.LOCK),
    *(run.SIMULATION, run.EMBEDDING, run.SELFTEST, run.CHECKPOINT, run.ROWS, run.VIEWS),
    *(run.MATCH_RECORD, run.MATCH_NETWORK),
}
FOLDERS = {
    run.MODEL,
    run.AUDIT,
    run.THUMBS,
    run.PROPERTIES,
    run.REMEDIED,
    run.CORRECTED,
    run.DRAWN,
    run.CUES,
    run.MATCHES,
}
BEGINNINGS = ("part-", "fold-")
CODE = [ROOT / "dashboard.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "whalecam").rglob("*.py")]
OTHERS = sorted(path for path in CODE if path != Path(run.__file__))


def names_in(code: str) -> Iterator[tuple[str, int]]:
    """Names of a run folder's files, by themselves or at the end of a path; of its folders, as part of a path."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            last = node.value.rpartition("/")[2]
            if last in NAMES or last.startswith(BEGINNINGS):
                yield node.value, node.lineno
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
            yield from ((name, node.lineno) for name in FOLDERS if name == node.right.value)


@pytest.mark.parametrize(
    "code",
    [
        "folder / 'run.json'",
        "'*/run.json'",
        "path / 'audit'",
        "glob('part-*.parquet')",
        "f'part-{n}.parquet'",
        "JOB = 'job.json'",
    ],
)
def test_a_name_is_recognised(code: str) -> None:
    assert len(list(names_in(code))) == 1


def test_sentences_and_other_words_are_no_names() -> None:
    assert list(names_in("say('It has no run.json.')\nverb = ['audit', 'model']\na / b\npath / 'images'")) == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_module_knows_a_name(path: Path) -> None:
    assert list(names_in(path.read_text(encoding="utf-8"))) == []
