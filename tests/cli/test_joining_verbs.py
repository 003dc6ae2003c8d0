"""Every verb and page that takes masks or boxes says what became of them, and refuses what it would misread."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from benchmarks.audit import untrained
from tests.cases import case
from tests.commandline import whalecam
from tests.conftest import ROOT
from whalecam.app.shell import run_commands
from whalecam.app.state import session
from whalecam.audit import run_audit
from whalecam.commands import to_argv
from whalecam.config import AuditOptions, Thresholds, TrainOptions
from whalecam.data import open_dataset
from whalecam.store.run import Run, open_run
from whalecam.store.table import NO_REVIEWS, Table

WIDTH, HEIGHT = 48, 32
MASKS_READ_AS = "Read as 2 values, 0 and 255: white is the subject. 1 masks of turned images are upright."
BOXES_READ_AS = "boxes.csv: table, in pixels. 1 boxes of turned images are stored, as stated."
BOX = (12, 6, 40, 16)


def scene(path: Path, orientation: int = 1) -> None:
    """A pale animal in BOX of the stored pixels."""
    pixels = np.random.default_rng(0).integers(20, 60, (HEIGHT, WIDTH, 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 220
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif.tobytes(), quality=95)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Four images, one of them turned; masks of all; boxes of three as stored; an untrained network."""
    for number in range(4):
        scene(tmp_path / "images" / f"{number}.jpg", 6 if number == 3 else 1)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.rot90(mask, -1) if number == 3 else mask).save(tmp_path / "masks" / f"{number}.png")
    box = ",".join(map(str, BOX))
    (tmp_path / "boxes.csv").write_text(
        "image,x1,y1,x2,y2\n" + "".join(f"{name},{box}\n" for name in ("1.jpg", "2.jpg", "3.jpg", "7.jpg"))
    )
    (tmp_path / "train.csv").write_text("image,species\n0.jpg,orca\n1.jpg,beluga\n2.jpg,orca\n3.jpg,beluga\n")
    return untrained(tmp_path / "runs" / "run", open_dataset(tmp_path / "train.csv", tmp_path / "images"))


def audited(run: Run, *words: object) -> dict[str, object]:
    done = whalecam("audit", run.path, "--background-test", "none", *words, "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


def rows_of(run: Run) -> pd.DataFrame:
    return Table(open_run(run.path).parts(), Thresholds(), NO_REVIEWS).all_rows().set_index("image")


def test_an_audit_says_what_joined(run: Run, tmp_path: Path) -> None:
    (tmp_path / "masks" / "9.png").write_bytes((tmp_path / "masks" / "0.png").read_bytes())
    words = ("audit", run.path, "--background-test", "none", "--masks", tmp_path / "masks")
    text = whalecam(*words).stdout
    sentence = f"matched 4 of 4 images, 1 of 5 files were not used: 9.png. {MASKS_READ_AS}"
    assert f"masks: {sentence}" in text and f"Masks: {sentence}" in text
    facts = json.loads(whalecam(*words, "--json").stdout)
    assert facts["joins"]["masks"]["unused"] == 1 and facts["joins"]["masks"]["sentence"] == sentence
    assert facts["mask_sources"] == {"given": 4} and facts["new"] == 0
    assert f"Masks: {sentence}" in whalecam("info", run.path).stdout
    assert open_run(run.path).manifest.joins["masks"]["first_unused"] == ["9.png"]
    assert json.loads(whalecam("info", run.path, "--json").stdout)["joins"]["masks"]["sentence"] == sentence


def test_the_pixels_of_boxes_are_stated_stored_and_honoured(run: Run, tmp_path: Path) -> None:
    boxes = ("--boxes", tmp_path / "boxes.csv")
    refused = whalecam("audit", run.path, "--background-test", "none", *boxes)
    assert refused.returncode == 2 and "--box-orientation" in refused.stderr and "3.jpg (6)" in refused.stderr
    assert not open_run(run.path).parts() and not open_run(run.path).manifest.audit
    facts = audited(run, *boxes, "--box-orientation", "stored")
    sentence = f"matched 3 of 4 images, 1 of 4 rows were not used: 7.jpg. {BOXES_READ_AS}"
    assert facts["joins"]["boxes"]["sentence"] == sentence  # type: ignore[index]
    area = rows_of(run)["mask_area"]
    assert area["3.jpg"] == pytest.approx(area["1.jpg"], abs=0.02)
    assert open_run(run.path).manifest.audit["box_orientation"] == "stored"
    again = audited(run, *boxes, "--box-orientation", "stored")
    assert (again["new"], again["restarted"]) == (0, False)
    other = audited(run, *boxes, "--box-orientation", "upright", "--limit", "2")
    assert (other["new"], other["restarted"]) == (2, True)
    words = ["--boxes", str(tmp_path / "boxes.csv"), "--box-orientation", "upright"]
    assert to_argv(run_commands.check_of(open_run(run.path)))[-4:] == words
    assert to_argv(run_commands.train_of(open_run(run.path), TrainOptions(remedy="crop")))[-6:-2] == words[:4]
    assert "--boxes" not in to_argv(run_commands.train_of(open_run(run.path), TrainOptions()))


def test_an_audit_from_before_pixels_could_be_stated_goes_on(run: Run, tmp_path: Path) -> None:
    audited(run, "--masks", tmp_path / "masks")
    stored = dict(open_run(run.path).manifest.audit)
    for name in ("box_orientation", "box_units", "box_confidence", "mask_class", "mask_orientation"):
        del stored[name]
    for record in (stored, {**stored, "box_orientation": None}):
        open_run(run.path).update(audit=record)
        assert audited(run, "--masks", tmp_path / "masks")["restarted"] is False
        assert AuditOptions.stored(record) == AuditOptions(masks=str(tmp_path / "masks"), background_test="none")


@pytest.mark.parametrize(
    ("folder", "option", "name", "words"),
    [
        ("12-masks", "--masks", "voc_palette", "which is the subject? State it: --mask-class"),
        ("12-masks", "--masks", "other_aspect", "both must have one shape"),
        ("10-megadetector-json", "--boxes", "resized-2x.csv", "a copy of 2 × the size"),
        ("10-megadetector-json", "--boxes", "train.csv", "is not a box file"),
        ("11-exif-upright-boxes", "--boxes", "boxes-upright-px.csv", "--box-orientation"),
    ],
)
def test_the_cases_end_with_a_sentence_before_any_work(
    tmp_path: Path, folder: str, option: str, name: str, words: str
) -> None:
    home = case(folder)
    run = untrained(tmp_path / "run", open_dataset(home / "train.csv", home / "images"))
    (tmp_path / "run" / "model" / "fold-0.safetensors").write_bytes(b"no network can be read, so none is asked")
    done = whalecam("audit", run.path, option, home / name, "--json")
    assert done.returncode == 2 and words in done.stderr and not done.stdout
    checked = whalecam("check", home / "train.csv", home / "images", option, home / name)
    assert checked.returncode == 2 and words in checked.stderr


def test_the_verbs_take_the_class_of_masks_and_the_confidence_of_boxes(tmp_path: Path) -> None:
    masks, boxes = case("12-masks"), case("10-megadetector-json")
    words = ("check", masks / "train.csv", masks / "images", "--masks", masks / "voc_palette", "--json")
    done = json.loads(whalecam(*words, "--mask-class", "1,2,3").stdout)
    assert done["joins"]["masks"]["read_as"] == [
        "Read as a palette with 4 values, 0, 1, 2, 3: 1, 2, 3 are the subject, as stated."
    ]
    run = untrained(tmp_path / "run", open_dataset(boxes / "train.csv", boxes / "images"))
    refused = whalecam("audit", run.path, "--boxes", boxes / "md.json", "--box-confidence", "0.95")
    assert refused.returncode == 2 and "16 of 24 boxes are below the confidence 0.95" in refused.stderr


def test_check_says_what_joined_and_takes_the_pixels(run: Run, tmp_path: Path) -> None:
    words = ["check", tmp_path / "train.csv", tmp_path / "images", "--boxes", tmp_path / "boxes.csv"]
    assert whalecam(*words).returncode == 2
    done = whalecam(*words, "--box-orientation", "stored", "--masks", tmp_path / "masks", "--json")
    joins = json.loads(done.stdout)["joins"]
    assert joins["boxes"]["read_as"] == ["boxes.csv: table, in pixels.", BOXES_READ_AS.partition(". ")[2]]
    assert joins["masks"]["sentence"] == f"matched 4 of 4 images, 0 of 4 files were not used. {MASKS_READ_AS}"
    table_only = whalecam("check", tmp_path / "train.csv", "--no-images", "--boxes", tmp_path / "boxes.csv")
    assert "boxes: matched 3 of 4 images" in table_only.stdout
    refused = whalecam("check", tmp_path / "train.csv", "--no-images", "--masks", tmp_path / "masks")
    assert refused.returncode == 2 and "needs the images" in refused.stderr


def test_masks_that_no_remedy_reads_are_refused_by_train(run: Run, tmp_path: Path) -> None:
    words = ["train", tmp_path / "train.csv", tmp_path / "images", "--run", tmp_path / "new"]
    done = whalecam(*words, "--masks", tmp_path / "masks")
    assert done.returncode == 2 and "read by a remedy only" in done.stderr and not (tmp_path / "new").exists()
    boxes = [*words, "--remedy", "crop", "--boxes", tmp_path / "boxes.csv", "--no-pretrained"]
    done = whalecam(*boxes)
    assert done.returncode == 2 and "--box-orientation" in done.stderr
    assert not open_run(tmp_path / "new").trained


def test_a_mended_data_set_says_what_joined_and_is_refused_alike(run: Run, tmp_path: Path) -> None:
    audited(run, "--boxes", tmp_path / "boxes.csv", "--box-orientation", "stored")
    words = ["export-dataset", run.path, "--remedy", "neutral", "--out", tmp_path / "out"]
    facts = json.loads(whalecam(*words, "--json").stdout)
    assert facts["masks"]["boxes"] == 3 and facts["joins"]["boxes"]["matched"] == 3
    drawn = np.asarray(Image.open(tmp_path / "out" / "masks" / "3.jpg.png")) > 127
    turned = np.asarray(Image.open(tmp_path / "masks" / "3.png")) > 127
    assert (drawn & turned).sum() / (drawn | turned).sum() >= 0.98
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2\nx.jpg,1,1,2,2\n")
    shutil.rmtree(tmp_path / "out")
    refused = whalecam(*words)
    assert refused.returncode == 2 and "matched 0 of 4 images" in refused.stderr and not (tmp_path / "out").exists()


def test_masks_beyond_those_looked_at_are_checked_when_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["whalecam.explain.masks.folder"], "LOOKED_AT", 3)
    chosen = np.random.default_rng(0).choice(4, 3, replace=False)
    (out,) = set(range(4)) - set(chosen.tolist())
    Image.new("L", (HEIGHT, WIDTH) if out == 3 else (WIDTH, HEIGHT), 2).save(tmp_path / "masks" / f"{out}.png")
    summary = run_audit.run_audit(
        run, run_audit.open_data(run), AuditOptions(masks=str(tmp_path / "masks"), background_test="none")
    )
    assert summary.mask_sources["given"] == 3
    assert "3 masks were looked at before the audit" in summary.joins["masks"]["sentence"]
    assert "Masks of the table: given 3, " in whalecam("info", run.path).stdout


def test_the_model_page_has_the_option_and_shows_what_joined(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited(run, "--boxes", tmp_path / "boxes.csv", "--box-orientation", "stored")
    monkeypatch.setenv("WHALECAM_RUNS", str(tmp_path / "runs"))
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60)
    app.switch_page("pages/2_Model.py").run()
    assert not app.exception and not app.error, app.error
    for label, value in (("Boxes of turned images", "stored"), ("Masks of turned images", "auto")):
        box = next(box for box in app.selectbox if box.label == label)
        assert box.value == value and list(box.options) == ["auto", "stored", "upright"]
    units = next(box for box in app.selectbox if box.label == "Units of the boxes")
    assert units.value == "auto" and list(units.options) == ["auto", "pixels", "shares", "percent"]
    shown = [text.value.replace("\\", "") for text in app.warning]
    assert any(text.startswith("Boxes: matched 3 of 4 images, 1 of 4 rows were not used: 7.jpg.") for text in shown)


def test_boxes_that_changed_are_a_finding_on_the_page(run: Run, tmp_path: Path) -> None:
    audited(run, "--boxes", tmp_path / "boxes.csv", "--box-orientation", "stored")
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2\nx.jpg,1,1,2,2\n")
    found = session.findings_of(open_run(run.path))
    assert (found[0].code, found[0].severity) == ("boxes_refused", "medium")
    assert "matched 0 of 4 images" in found[0].sentence
