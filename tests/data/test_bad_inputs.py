"""The whole corpus of bad inputs through the library, the command line and the page."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.data.bad_inputs import CSV_ERRORS, CSV_ROWS, PICTURES, BadInput, write_corpus
from whalecam import data
from whalecam.data.files import OUTSIDE, SEVERAL
from whalecam.data.images import LARGE, MISSING, NO_IMAGE, TRUNCATED, UNREADABLE, ZERO
from whalecam.data.table import DUPLICATE, NO_LABEL, NO_NAME, OK
from whalecam.errors import DatasetError

UNREAD = {f"{name} image, not read" for name in ("PostScript", "SVG", "Nikon raw", "Canon raw", "DICOM", "JPEG XL")}
REASONS = {OK, LARGE, MISSING, NO_IMAGE, TRUNCATED, UNREADABLE, ZERO, DUPLICATE, NO_LABEL, NO_NAME, OUTSIDE, SEVERAL}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[BadInput]:
    return write_corpus(tmp_path_factory.mktemp("bad"))


def test_the_corpus_is_large_enough() -> None:
    assert len(CSV_ERRORS) + len(CSV_ROWS) >= 30
    assert len(PICTURES) >= 30
    assert len(CSV_ERRORS) + len(CSV_ROWS) + len(PICTURES) + 2 >= 60


def test_every_case_ends_in_a_sentence_or_in_rows(corpus: list[BadInput]) -> None:
    for case in corpus:
        try:
            table = data.inspect_images(data.open_dataset(case.csv, case.images)).table
        except DatasetError as error:
            assert case.expected == "error", (case.name, error)
            assert str(error).isprintable() and "Traceback" not in str(error), (case.name, error)
            assert 20 < len(str(error)) < 700, (case.name, error)
            assert case.csv.name.replace("\n", " ")[:80] in str(error), (case.name, error)
            continue
        assert case.expected == "rows", case.name
        assert set(table["status"]) <= REASONS | UNREAD | {f"HEIC image, {UNREADABLE}"}, (
            case.name,
            set(table["status"]),
        )
        if case.reason:
            assert table["status"].iloc[1] == case.reason, (case.name, table["status"].iloc[1])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a missing file", MISSING),
        ("a row twice", DUPLICATE),
        ("an empty label", NO_LABEL),
        ("a label of blanks", NO_LABEL),
        ("an empty name", NO_NAME),
        ("a way out", OUTSIDE),
        ("an absolute path", OUTSIDE),
        ("a Windows path", OUTSIDE),
        ("a home path", OUTSIDE),
        ("a link out of the folder", OUTSIDE),
        ("a namesake in another folder", MISSING),
        ("two files of one name", SEVERAL),
    ],
)
def test_a_bad_row_says_why(corpus: list[BadInput], name: str, reason: str) -> None:
    case = next(case for case in corpus if case.name == f"csv: {name}")
    assert data.open_dataset(case.csv, case.images).table["status"].tolist() == [OK, reason]


def test_the_command_line_never_ends_in_a_traceback(corpus: list[BadInput]) -> None:
    code = (
        "import sys, json\n"
        "from whalecam.cli import main\n"
        "for line in sys.stdin:\n"
        "    csv, images = json.loads(line)\n"
        "    sys.argv = ['whalecam', 'check', csv, images, '--json']\n"
        "    try: main()\n"
        "    except SystemExit as end: print('EXIT', end.code, file=sys.stderr, flush=True)\n"
    )
    import json

    lines = "\n".join(json.dumps([str(case.csv), str(case.images)]) for case in corpus)
    done = subprocess.run(
        [sys.executable, "-c", code], input=lines, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr + done.stdout
    exits = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("EXIT")]
    assert len(exits) == len(corpus)
    for case, status in zip(corpus, exits, strict=True):
        assert status == 2 if case.expected == "error" else status in (0, 1), (case.name, status)


def test_the_page_never_ends_in_a_traceback(
    corpus: list[BadInput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(tmp_path))
    (tmp_path / "seed.csv").write_text("image,species\na.jpg,orca\n")
    from whalecam.config import Columns
    from whalecam.store.manifest import DatasetRecord
    from whalecam.store.run import create_run

    create_run(tmp_path / "seed", DatasetRecord(str(tmp_path / "seed.csv"), None, vars(Columns()), ""))
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60)
    for number, case in enumerate(corpus):
        app.switch_page("pages/1_Dataset.py").run()
        app.text_input(key="own_csv").set_value(str(case.csv))
        app.text_input(key="own_images").set_value(str(case.images))
        app.text_input(key="own_name").set_value(f"bad{number}")
        app.button(key="own_open").click().run()
        assert not app.exception, (case.name, app.exception)
        assert bool(app.error) == (case.expected == "error"), (case.name, [error.value for error in app.error])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_explained(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image,species\na.jpg,orca\n")
    (tmp_path / "train.csv").chmod(0)
    with pytest.raises(DatasetError, match="cannot be read"):
        data.open_dataset(tmp_path / "train.csv", None)
