"""The documentation: it builds, its generated pages are current, and what it shows exists and runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import whalecam as wc
from docs import generate
from tests.conftest import ROOT
from tests.docs import documentation
from tests.docs.documentation import DOCS, FRONT, PAGES, WRITTEN, Block
from whalecam.output.csv import flagcsv
from whalecam.store.schema import SCHEMA

METHOD = DOCS / "method"
RUN_PAGES = [page for page in PAGES if any(not block.reason for block in documentation.python_blocks(page.read_text()))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """The folder that the examples assume: train.csv, images/ and masks/, 24 drawn images of two labels."""
    rows = pd.read_csv(prepared / "pictures" / "train.csv", dtype=str, keep_default_na=False)
    labels = sorted(rows["species"].value_counts().index[:2])
    few = pd.concat([rows[rows["species"] == label].head(12) for label in labels])
    few.to_csv(tmp_path / "train.csv", index=False)
    for kind in ("images", "masks"):
        shutil.copytree(prepared / "pictures" / kind, tmp_path / kind)
    return tmp_path


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = {path.parent.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("index.html")}
    written = {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES}
    assert built == {name if name != "index" else "." for name in written}
    assert not list((tmp_path / "site").rglob("*.py"))


def test_the_generated_pages_are_what_would_be_written_now() -> None:
    stale = [name_of(page) for page, _ in generate.outdated()]
    assert not stale, f"run `make docs`: {stale}"


def test_a_page_that_is_out_of_date_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in generate.PAGES:
        shutil.copy(DOCS / name, tmp_path)
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    page = tmp_path / "cli.md"
    for stale, text in list(generate.outdated()):
        stale.write_text(text)
    assert not list(generate.outdated())
    page.write_text(page.read_text().replace("## audit", "## audits"))
    assert [found.name for found, _ in generate.outdated()] == ["cli.md"]


def test_the_reference_has_every_public_name_and_no_other() -> None:
    named = [name for names in generate.SECTIONS.values() for name in names]
    assert sorted([*named, "__version__"]) == sorted(wc.__all__)


@pytest.mark.parametrize("page", FRONT, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert not documentation.broken_links(page)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_the_files_that_are_named_exist(page: Path) -> None:
    assert not documentation.missing_files(page.read_text(encoding="utf-8"))


def test_a_link_or_a_file_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n[here](#a-page) [there](other.md) [gone](#gone) [out](https://example.org)\n")
    assert documentation.broken_links(page) == ["other.md", "#gone"]
    text = "`whalecam/api/runs.py`, `whalecam/nothing.py` and `docs/img/*.png`"
    assert documentation.missing_files(text) == ["whalecam/nothing.py"]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_command_is_one_that_the_command_line_takes(page: Path) -> None:
    text = page.read_text(encoding="utf-8").partition(generate.MARKER)[0]  # what is generated has usage lines
    faults = [fault for words in documentation.command_lines(text) if (fault := documentation.fault_of(words))]
    of_benchmarks = page.is_relative_to(METHOD)
    spans = [span for span in documentation.spans(text) if not (of_benchmarks and span.startswith("--"))]
    faults += [fault for span in spans if (fault := documentation.fault_in_span(span))]
    assert not faults


def test_the_pages_show_commands_at_all() -> None:
    verbs = {words[0] for page in WRITTEN for words in documentation.command_lines(page.read_text(encoding="utf-8"))}
    assert verbs >= {"train", "audit", "dashboard", "check", "export", "compare"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("whalecam audit runs/mine --masks masks/  # a remark", ""),
        (".venv/bin/whalecam dashboard --port 8501 -- --server.address 127.0.0.1", ""),
        ("$ python -m whalecam info runs/demo", ""),
        ("whalecam aduit runs/mine", "there is no verb aduit"),
        ("WHALECAM_DEBUG=1 whalecam audit runs/mine --maks masks/", "audit: No such option '--maks'"),
        ("python -m whalecam train a.csv b --run r --split sideways", "train: Invalid value for '--split'"),
        ("whalecam audit", "audit: Missing argument 'RUN'"),
        ("whalecam dashboard runs/demo", "dashboard: 'runs/demo' is no option of Streamlit"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str, fault: str) -> None:
    (words,) = documentation.command_lines(f"Text.\n\n```sh\n{line}\n```\n")
    found = documentation.fault_of(words)
    assert found.startswith(fault) and bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("span", "fault"),
    [
        ("whalecam export RUN --out FILE.csv", ""),
        ("train --remedy crop|neutral", ""),
        ("--server.port", ""),
        ("pip install --upgrade x", ""),
        ("confirmed_leak", ""),
        ("whalecam exprot RUN", "there is no verb exprot"),
        ("lay-out RUN", "there is no verb lay-out"),
        ("audit RUN --maks DIR", "audit has no option --maks"),
        ("--maks", "no verb has an option --maks"),
    ],
)
def test_code_in_a_line_that_does_not_exist_is_noticed(span: str, fault: str) -> None:
    assert documentation.fault_in_span(span) == fault


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_measurement_is_one_that_can_be_made(page: Path) -> None:
    lines = documentation.modules_called(page.read_text(encoding="utf-8"))
    assert not [fault for line in lines if (fault := documentation.fault_of_module(line))]


def test_a_measurement_that_does_not_exist_is_noticed() -> None:
    text = "`python -m benchmarks.twins clean --seeds 3`, `python -m benchmarks.twins [--sedes 3]` and\n"
    text += "```sh\n.venv/bin/python -m benchmarks.twin  # long\npython -m whalecam info RUN\n```\n"
    faults = [documentation.fault_of_module(line) for line in documentation.modules_called(text)]
    assert faults == ["", "benchmarks.twins has no option --sedes", "there is no benchmarks.twin"]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.M)) <= targets


def test_only_what_cannot_run_does_not_run_and_says_why() -> None:
    excused = {
        (name_of(page), block.reason)
        for page in WRITTEN
        for block in documentation.python_blocks(page.read_text(encoding="utf-8"))
        if block.reason
    }
    assert excused == {
        ("docs/review.md", "FiftyOne is not among the test tools"),
        ("docs/data.md", "SAM and its weights are not part of WhaleCAM"),
        ("docs/individuals.md", "needs a data set with individuals"),
    }
    text = "<!-- not run: because -->\n```python\na\n```\n\n```python\nb\n```\n"
    assert documentation.python_blocks(text) == [Block("a\n", "because"), Block("b\n", "")]


@pytest.mark.parametrize("page", RUN_PAGES, ids=name_of)
def test_the_python_of_a_page_runs(
    page: Path, folder: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    if page.name == "quickstart.md":  # its commands have made the run by then
        shutil.copytree(prepared / "runs" / "demo", folder / "runs" / "mine")
    names: dict[str, object] = {}
    for block in documentation.python_blocks(page.read_text(encoding="utf-8")):
        if not block.reason:
            exec(compile(block.code, page.name, "exec"), names)  # noqa: S102 - our own file
    if page.name == "python-api.md":
        cams, table = names["cams"], names["table"]
        assert isinstance(cams, wc.Cams) and cams.maps.shape == (2, 5, 7, 7)
        assert isinstance(table, pd.DataFrame) and len(table) == 24
        assert "runs/nowhere is not a run folder" in capsys.readouterr().out


def notebook() -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads((DOCS / "python.ipynb").read_text(encoding="utf-8"))
    return found


def test_the_notebook_has_the_lines_of_the_readme_and_no_outputs() -> None:
    code = [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    lines = [line.rstrip("\n") for cell in code for line in cell["source"]]  # type: ignore[attr-defined]
    (block,) = documentation.python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    wanted = [line for line in block.code.splitlines() if line]
    assert [line for line in lines if line in wanted] == wanted


def test_the_notebook_runs(folder: Path) -> None:
    shutil.copy(DOCS / "python.ipynb", folder)
    own = {name: str(folder / "home") for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    words = [sys.executable, "-m", "jupyter", "execute", "--inplace", "python.ipynb"]
    environment = {**os.environ, **own, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "report.html").is_file()
    cells = json.loads((folder / "python.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")


def test_the_page_of_the_verdict_file_names_every_column() -> None:
    named = set(documentation.spans((DOCS / "csv.md").read_text(encoding="utf-8")))
    own = set(flagcsv.COLUMNS) - set(flagcsv.SOURCE)
    assert not own - named
    assert {"image", "verdict", "reviewer"} <= named


INSIDE = {
    "mask_bits",
    "maps",
    "logits",
    "embedding",
    "reliance_image",
    "exchange_own",
    "exchange_own_donors",
    "exchange_other",
    "exchange_other_donors",
}
"""Columns that the program alone reads."""


def test_the_concepts_explain_every_column_of_the_table() -> None:
    named = set(documentation.spans((DOCS / "concepts.md").read_text(encoding="utf-8")))
    short = {"floor", "chance", "loss"}  # explained by these words
    assert not set(SCHEMA.names) - INSIDE - named - short
