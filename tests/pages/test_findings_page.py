"""The Findings tab: the library's list, opened, downloaded, set aside and restored."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_pages import open_page, texts
from tests.pages.test_starting import command
from whalecam.analysis.findings import Evidence, find
from whalecam.analysis.findings.properties import with_faults
from whalecam.app.shell import jobs
from whalecam.data import open_dataset, read_labels_map
from whalecam.store.manifest import DatasetRecord
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Dismissals
from whalecam.store.run import create_run, open_run
from whalecam.words import MARINE

TWINS = "look_alike|bottlenose_dolphin|bottlenose_dolpin"


def findings_tab(**query: str) -> AppTest:
    app = open_page("pages/1_Dataset.py", **query)
    app.query_params["dataset_tab"] = "Findings"
    return app.run()


def shown(app: AppTest) -> str:
    return texts(app).replace("\\", "")


@pytest.fixture
def dismissals(runs: Path) -> Dismissals:
    run = open_run(runs / "demo")
    return Dismissals(run.reviews_url, run.manifest.dataset.csv)


def test_the_tab_shows_what_the_library_finds(runs: Path) -> None:
    run = open_run(runs / "demo")
    record, table = run.manifest.dataset, open_table(run)
    data = with_faults(open_dataset(Path(record.csv), Path(record.images or "")), table.unread())
    found = find(Evidence(data, run_words=MARINE))
    app = findings_tab()
    assert not app.exception and not app.error, texts(app)
    text = shown(app)
    for finding in found:
        for words in (finding.sentence, finding.why, finding.todo):
            assert words in text
    assert text.index("badge[:material/error: High]") < text.index("badge[:material/info: Info]")
    assert f"Affected rows · {len(found[0].rows):,}" in [box.label for box in app.expander]


def test_images_that_the_audit_could_not_read_are_listed_and_shown_where_a_link_asks_for_them(runs: Path) -> None:
    unread = open_table(open_run(runs / "demo")).unread()
    names = {*unread["image"]}
    assert len(names) == 2, "one is missing, one is truncated, which the table alone does not say"
    app = findings_tab(finding="unusable")
    shown_names = [set(frame.value["image"]) for frame in app.dataframe if "image" in frame.value]
    assert any("truncated" in reason for reason in unread["status"]) and "Truncated: 1 of" in shown(app)
    assert names <= set().union(*shown_names)
    closed = [frame for frame in findings_tab().dataframe if "image" in frame.value]
    assert not closed, "rows are drawn where they are asked for"


def test_dismissing_needs_a_name_and_a_reason(runs: Path, dismissals: Dismissals) -> None:
    app = findings_tab()
    app.text_input(key=f"reason_{TWINS}").set_value("they are two").run()
    app.button(key=f"set_aside_{TWINS}").click().run()
    assert "signed" in app.error[0].value
    app.text_input(key="reviewer").set_value("Ana").run()
    app.text_input(key=f"reason_{TWINS}").set_value(" ").run()
    app.button(key=f"set_aside_{TWINS}").click().run()
    assert "reason" in app.error[0].value and not app.exception
    assert dismissals.history().empty


def test_a_dismissed_finding_stays_countable_and_can_be_restored(runs: Path, dismissals: Dismissals) -> None:
    app = findings_tab()
    app.text_input(key="reviewer").set_value("Ana").run()
    app.text_input(key=f"reason_{TWINS}").set_value("they *are* two").run()
    app.button(key=f"set_aside_{TWINS}").click().run()
    assert not app.exception and not app.error, texts(app)
    assert dismissals.standing()["reason"].tolist() == ["they *are* two"]
    assert "Dismissed · 1" in shown(app) and "Dismissed by Ana" in shown(app)
    assert f"set_aside_{TWINS}" not in [button.key for button in app.button]
    app.button(key=f"restore_{TWINS}").click().run()
    assert dismissals.standing().empty and len(dismissals.history()) == 2
    assert f"set_aside_{TWINS}" in [button.key for button in app.button]


def test_looking_at_every_picture_finds_what_the_table_cannot_know(runs: Path) -> None:
    open_run(runs / "demo").clear_audit()
    app = findings_tab()
    assert "0 of 119 images looked at" in shown(app) and "Truncated" not in shown(app)
    app.button(key="inspect").click().run()
    assert not app.exception, app.exception
    for _ in range(600):
        job = jobs.status(runs / "demo")
        if job is not None and job.state != "running":
            break
        time.sleep(0.1)
    assert job is not None and job.state == "done", job
    app.run()
    assert "119 of 119 images looked at" in shown(app)
    assert "Truncated: 1 of 121 rows cannot be used." in shown(app)
    assert not app.exception and not app.error


def test_a_merge_is_trained_with_by_one_button_and_then_kept(runs: Path) -> None:
    app = findings_tab()
    (button,) = [button for button in app.button if button.key == "train_merged"]
    assert button.label == "Train with this merge"
    button.click().run()
    assert not app.exception and not app.error, texts(app)
    run = open_run(runs / "demo")
    words = command(run.path)
    merges = read_labels_map(Path(words[words.index("--labels-map") + 1]))
    assert merges == {"bottlenose_dolpin": "bottlenose_dolphin"} and "--audit" in words
    assert words[words.index("--arch") + 1] == run.manifest.train["arch"], "as it was trained before"
    jobs.dismiss(run.path)
    run.update(dataset=replace(run.manifest.dataset, merges=merges))
    merged = findings_tab()
    assert "train_merged" not in [button.key for button in merged.button], "nothing is left to merge"
    assert "Labels are merged: bottlenose_dolpin → bottlenose_dolphin." in shown(merged)
    assert {metric.label: metric.value for metric in merged.metric}["Species"] == "6"
    model = open_page("pages/2_Model.py")
    assert "bottlenose_dolpin" in model.checkbox(key="train_merges").label.replace("\\", "")
    next(button for button in model.button if button.label == "Train").click().run()
    assert "--labels-map" in command(run.path)


def test_a_clean_set_says_so(runs: Path, tmp_path: Path) -> None:
    lines = [f"{name}{number}.jpg,{name},{name}{number}" for name in ("orca", "beluga") for number in range(30)]
    (tmp_path / "clean.csv").write_text("\n".join(["image,species,individual_id", *lines]))
    data = open_dataset(tmp_path / "clean.csv", None)
    create_run(runs / "clean", DatasetRecord(str(data.csv), None, vars(data.columns), data.fingerprint))
    app = findings_tab(run="clean")
    assert any("No open finding" in box.value for box in app.success), texts(app)
    assert "duplicate" not in shown(app).lower()
