"""Every page on a real run, through Streamlit's own test runner."""

import base64
import io
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from whalecam.analysis.training_pace import pace_of
from whalecam.app.charts import audit_charts
from whalecam.app.screens import dataset, overview
from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import image_cache, session
from whalecam.app.widgets import review_controls
from whalecam.arrays import Progress
from whalecam.config import SUSPECT_ASSESSMENTS, THRESHOLDS, Thresholds
from whalecam.errors import DatasetError
from whalecam.explain.render import unpack_mask
from whalecam.output import interchange
from whalecam.store.json_file import write_json
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Journal, Review
from whalecam.store.run import Run, open_run
from whalecam.store.table import Filters, Table
from whalecam.text import duration
from whalecam.words import MARINE

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "pages").glob("*.py"))
EXPLORING = [page for page in PAGES if "2_Model" not in page]


def open_page(page: str | None = None, **query: str) -> AppTest:
    """A page at its own address, as a link opens it: the Overview is not drawn before."""
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return (app.switch_page(page) if page else app).run()


def texts(app: AppTest) -> str:
    boxes = [*app.info, *app.error, *app.warning, *app.success]
    found = [*app.markdown, *app.caption, *app.title, *app.header, *app.subheader, *boxes]
    return "\n".join(str(element.value) for element in found)


def drawn(app: AppTest) -> str:
    """What a page writes as HTML."""
    return "\n".join(str(element.proto.body) for element in app.get("html"))


@pytest.fixture
def journal(runs: Path) -> Journal:
    return Journal(open_run(runs / "demo").reviews_url)


@pytest.mark.parametrize("page", [None, *PAGES])
def test_every_page_opens_on_an_audited_run(runs: Path, page: str | None) -> None:
    app = open_page(page)
    assert not app.exception, app.exception
    assert not app.error, texts(app)
    assert app.title[0].value in ("Overview", *(name.split("_", 1)[1][:-3].replace("_", " ") for name in PAGES))


def test_overview_counts_equal_the_table(runs: Path) -> None:
    app = open_page()
    shown = {metric.label: metric.value for metric in app.metric}
    assert int(shown["Images"]) == len(open_run(runs / "demo").audited())
    assert shown["Flagged"] == "0"
    assert "exact" in texts(app)


def test_the_overview_answers_in_order_and_says_where_each_row_went(runs: Path) -> None:
    app = open_page()
    assert [header.value for header in app.header] == [
        "Can I trust this network?",
        "What does it rely on?",
        "Which images?",
        "What now?",
    ]
    table = open_table(open_run(runs / "demo"))
    facts, accuracy = table.overview(), table.accuracy()
    assert f"= {facts['images'] - facts['unreadable']:,} audited" in texts(app).replace("\\", "")
    shown = {metric.label: metric for metric in app.metric}
    assert shown["Accuracy"].value == f"{accuracy.value * 100:.1f}\u00a0%"
    assert shown["Accuracy"].delta == f"{accuracy.low * 100:.0f}\u00a0% to {accuracy.high * 100:.0f}\u00a0%"
    assert {"Download the report"} <= {button.label for button in app.button}


def test_thresholds_say_how_many_suspects_they_make_and_are_taken_back_by_one_button(runs: Path) -> None:
    def suspects(level: Thresholds) -> str:
        return f"{open_table(open_run(runs / 'demo'), level).count(Filters(assessments=SUSPECT_ASSESSMENTS)):,}"

    strict, usual = suspects(Thresholds(attention=0.3, false_rate=0.25)), suspects(Thresholds())
    assert strict != usual
    app = open_page(attention="0.3", false_rate="0.25")
    (place,) = (part for part in app.sidebar.expander if part.label == "Thresholds")
    assert {slider.key for slider in place.slider} == set(THRESHOLDS)
    assert app.slider(key="attention").value == 0.3
    assert f"= {strict} suspects; {usual} at the defaults" in [caption.value for caption in app.sidebar.caption]
    app.button(key="reset_thresholds").click().run()
    assert app.slider(key="attention").value == Thresholds.attention
    assert f"= {usual} suspects" in [caption.value for caption in app.sidebar.caption]
    assert "reset_thresholds" not in {button.key for button in app.button}


def test_the_legend_names_every_verdict_of_the_bar_in_its_order() -> None:
    counts = {"clean": 1200, "confirmed_leak": 3}
    written = overview.legend(counts, MARINE)
    assert 'title="the network looks at the water, and its prediction relies on it"' in written
    told = re.sub(r"<[^>]*>", "\n", written).split("\n")
    assert [text.strip() for text in told if text.strip()] == ["Confirmed leak · 3", "Clean · 1,200"]
    rows = pd.DataFrame({"assessment": list(counts), "images": list(counts.values())})
    bar = audit_charts.verdict_bar(rows)
    assert [(part.name, part.x[0]) for part in bar.data] == [("Confirmed leak", 3), ("Clean", 1200)]
    assert not bar.layout.showlegend and bar.layout.xaxis.range == (0, 1203)


def test_the_time_left_is_that_of_the_present_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 130.0, 160.0, 161.0, 163.0])
    monkeypatch.setattr("whalecam.app.shell.jobs.time.monotonic", lambda: next(clock))
    pace = jobs.Pace()
    steps = [("reading", 0, 10), ("reading", 1, 10), ("reading", 4, 10), ("comparing", 3, 9), ("comparing", 5, 9)]
    told = [pace.left_after(Progress(*step)) for step in steps]
    started, left = "estimating time left", "left in this step"
    assert told == [started, f"4 min 30 s {left}", f"1 min 30 s {left}", started, f"4 s {left}"]
    lines = tuple(
        jobs.Step(stage=stage, done=done, total=total, values={}, seconds=at)
        for (stage, done, total), at in zip(steps[:3], (0, 30, 60), strict=True)
    )
    job = jobs.Job("A job", "running", 0, lines)
    assert job.progress == "reading, 4 of 10" and jobs.Job("A job", "running", 0).progress == "starting"
    assert job.seconds_left == 90 and jobs.Job("A job", "running", 0).seconds_left is None


def test_a_picture_is_drawn_again_where_its_file_changed(runs: Path) -> None:
    run = open_run(runs / "demo")
    name = next(iter(session.data_of(run).good()["image"]))
    path, images = Path(session.data_of(run).good()["path"].iloc[0]), runs / "images"
    images.mkdir()
    shutil.copy(path, images / name)
    run.update(dataset=replace(run.manifest.dataset, images=str(images)))
    first = image_cache.image_uri(run, name)
    assert image_cache.image_uri(run, name) is first
    Image.new("RGB", (30, 20), "red").save(images / name)
    drawn = image_cache.image_uri(run, name)
    shown = Image.open(io.BytesIO(base64.b64decode(drawn.partition(",")[2])))
    assert drawn != first and shown.size == (30, 20)
    with pytest.raises(DatasetError, match="no readable file"):
        image_cache.image_uri(run, "no such image.jpg")


@pytest.mark.parametrize(
    "page", ["pages/3_Top_losses.py", "pages/4_Heatmaps.py", "pages/5_Leaks.py", "pages/6_Export.py"]
)
def test_a_run_without_an_audit_says_what_to_do(runs: Path, page: str) -> None:
    shutil.rmtree(runs / "demo" / "audit")
    app = open_page(page)
    assert not app.exception
    assert "audited" in texts(app)


def test_a_broken_manifest_is_explained(runs: Path) -> None:
    (runs / "demo" / "run.json").write_text("{ half")
    app = open_page()
    assert not app.exception
    assert "cannot be read" in app.error[0].value


def test_a_lost_csv_is_explained_where_it_is_needed(runs: Path) -> None:
    run = open_run(runs / "demo")
    run.update(dataset=type(run.manifest.dataset)(**{**vars(run.manifest.dataset), "csv": "/gone/train.csv"}))
    app = open_page("pages/1_Dataset.py")
    assert not app.exception
    assert "gone" in app.error[0].value


def test_opening_own_data_with_a_wrong_column_names_the_columns(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("picture,label\na.jpg,orca\n")
    app = open_page("pages/1_Dataset.py")
    app.text_input(key="own_csv").set_value(str(tmp_path / "own.csv"))
    app.text_input(key="own_name").set_value("own")
    app.button(key="own_open").click().run()
    assert not app.exception
    assert "no column" in app.error[0].value and "picture" in app.error[0].value.replace("\\", "")
    assert not (runs / "own").exists()
    app.run()
    assert "no column" in app.error[0].value, "it stands when the page runs for another reason"
    (tmp_path / "own.csv").write_text("image,species\na.jpg,orca\n")
    app.button(key="own_open").click().run()
    assert not app.error and (runs / "own").exists()


def test_flag_undo_and_the_journal_agree(runs: Path, journal: Journal) -> None:
    app = open_page("pages/4_Heatmaps.py")
    image = app.text_input(key="image").value
    app.text_input(key="reviewer").set_value("Ana").run()
    app.button(key="one_flag").click().run()
    assert not app.exception, app.exception
    assert image is not None
    assert journal.latest().set_index("image").loc[image, "verdict"] == "flag"
    app.button(key="one_undo").click().run()
    assert image not in set(journal.latest()["image"])


def test_undo_and_redo_from_another_page_and_after_a_restart(runs: Path, journal: Journal) -> None:
    app = open_page("pages/4_Heatmaps.py")
    image = app.text_input(key="image").value
    app.text_input(key="reviewer").set_value("Ana").run()
    app.button(key="one_flag").click().run()
    app.switch_page("pages/5_Leaks.py").run()
    app.button(key="leaks_undo").click().run()
    assert not app.exception, app.exception
    assert journal.latest().empty
    again = open_page("pages/3_Top_losses.py")
    again.text_input(key="reviewer").set_value("Ben").run()
    again.button(key="losses_redo").click().run()
    assert journal.latest().empty, "what Ana took back is not Ben's to restore"
    again.text_input(key="reviewer").set_value("Ana").run()
    again.button(key="losses_redo").click().run()
    assert not again.exception, again.exception
    assert image is not None
    assert journal.latest()["image"].tolist() == [image]
    assert journal.history(image)["event"].tolist() == ["review", "undo", "redo"]
    again.button(key="losses_redo").click().run()
    assert journal.version() == 3


def test_a_rejected_mask_is_signed_and_can_be_taken_back(runs: Path, journal: Journal) -> None:
    app = open_page("pages/4_Heatmaps.py")
    image = app.text_input(key="image").value
    app.text_input(key="reviewer").set_value("Ana").run()
    app.button(key="one_reject").click().run()
    assert not app.exception, app.exception
    signed = journal.latest().set_index("image").loc[image]
    assert (signed["verdict"], signed["reason"]) == ("unsure", "bad mask")
    assert "<strong>Not assessable</strong>: mask rejected by Ana" in drawn(app)
    app.button(key="one_undo").click().run()
    assert journal.latest().empty
    assert "mask rejected" not in drawn(app)


def test_the_outlines_of_given_masks_are_on_the_dataset_page(runs: Path) -> None:
    run = open_run(runs / "demo")
    table = session.table_of(run, Thresholds())
    cards = dataset.outline_cards(table)
    rows = table.all_rows().set_index("image")
    assert len(cards) == 8 and all(rows.loc[card.image, "mask_source"] == "given" for card in cards)
    for card in cards:
        bits = table.row(card.image)["mask_bits"]
        assert bits is not None
        stored = unpack_mask(bits)
        assert card.mask_bits is not None and np.array_equal(unpack_mask(card.mask_bits), stored) and stored.any()
        assert card.lines[1].startswith("given · ")
    app = open_page("pages/1_Dataset.py", dataset_tab="Images")
    assert not app.exception, app.exception
    assert "Outlines of your masks and boxes" in [element.value for element in app.header]
    assert plain(f"Masks: {run.manifest.joins['masks']['sentence']}") in texts(app)


def test_the_last_self_test_is_shown(runs: Path) -> None:
    check = {"name": "maps add up", "value": 1e-6, "bound": 1e-4, "says": "largest rest", "passed": True}
    result = {"passed": True, "failed": [], "checks": {"maps add up": check}, "when": "2026-01-01T00:00:00+00:00"}
    write_json(runs / "demo" / "selftest.json", result)
    app = open_page()
    assert any("every bound was kept" in box.value for box in app.success)
    write_json(runs / "demo" / "selftest.json", {**result, "failed": ["maps add up"]})
    assert any("1 of 1 bounds missed" in box.value for box in open_page().error)


def test_the_model_page_says_how_long_an_epoch_took(runs: Path) -> None:
    pace = pace_of(open_run(runs / "demo"))
    assert pace is not None
    assert f"took {duration(pace.seconds)} for {pace.images} images in the run demo" in texts(
        open_page("pages/2_Model.py")
    )


def test_the_model_page_says_what_shared_individuals_are_worth(runs: Path) -> None:
    run = open_run(runs / "demo")
    other = {"split": "random", "accuracy": 0.9, "shared_individuals": 0.8}
    mine = {**run.metrics(), "split": "group", "accuracy": 0.7, "shared_individuals": 0.0}
    run.save_metrics({**mine, "other_split": other, "never_judged": ["vaquita"]})
    app = open_page("pages/2_Model.py")
    assert not app.exception
    assert any("+20.0 points" in text.value for text in app.markdown)
    assert any("vaquita" in text.value for text in app.info)


def test_a_verdict_without_a_name_asks_for_it(runs: Path, journal: Journal) -> None:
    app = open_page("pages/4_Heatmaps.py")
    app.button(key="one_flag").click().run()
    assert not app.exception
    assert app.error and "name" in app.error[0].value.lower()
    assert journal.latest().empty


def test_the_threshold_moves_the_verdicts(runs: Path) -> None:
    app = open_page("pages/5_Leaks.py")
    before = {m.label: int(m.value) for m in app.metric if m.value.isdigit()}
    app.slider(key="attention").set_value(0.0).run()
    looser = {m.label: int(m.value) for m in app.metric if m.value.isdigit()}
    assert looser["Confirmed leaks"] > before["Confirmed leaks"]
    assert looser["Hidden reliance"] < before["Hidden reliance"], "what is seen to look is no longer hidden"
    app.slider(key="false_rate").set_value(0.25).run()
    laxer = {m.label: int(m.value) for m in app.metric if m.value.isdigit()}
    assert laxer["Confirmed leaks"] > looser["Confirmed leaks"]
    app.slider(key="false_rate").set_value(0.01).run()
    stricter = {m.label: int(m.value) for m in app.metric if m.value.isdigit()}
    assert stricter["Confirmed leaks"] < looser["Confirmed leaks"]


def test_what_carries_a_drop_is_said_on_card_and_picture(runs: Path) -> None:
    """`other` is no property: the whole water was exchanged, and nobody can say what of it mattered."""
    rows = session.table_of(open_run(runs / "demo")).all_rows().set_index("image")
    listed = rows[rows["q_value"] <= Thresholds.false_rate]
    words = {name: review_controls.carrier_words(name, "water") for name in listed["reliance_on"].unique()}
    assert words["other"] == "no single property of the water" and len(words) > 1
    cards = {card.image: card for card in review_controls.cards_of(*_opened(runs), listed.reset_index(), heat=False)}
    on_cards = words | {"other": "the water as a whole"}
    for image, row in listed.iterrows():
        card = cards[str(image)]
        assert (card.badge, card.carrier) == (row["assessment"], on_cards[row["reliance_on"]])
        assert card.lines[-1].endswith(f"relies {100 * row['reliance_probability']:.0f}\u00a0%")
    for name, begin in (("other", "on the water of "), ("colour", "colour of the water as in ")):
        if name in words:
            image = listed.index[listed["reliance_on"] == name][0]
            app = open_page("pages/4_Heatmaps.py", image=image)
            assert any(caption.value.startswith(begin) for caption in app.caption), name


def _opened(runs: Path) -> tuple[Run, Table]:
    run = open_run(runs / "demo")
    return run, session.table_of(run)


def test_the_classes_that_rely_are_named(runs: Path) -> None:
    app = open_page("pages/5_Leaks.py", class_tests="true")
    app.session_state["class_tests"] = True
    app.run()
    tests = session.table_of(open_run(runs / "demo")).class_tests().set_index("predicted")
    (shown,) = [frame.value for frame in app.dataframe if "relies" in frame.value]
    assert shown.set_index("predicted")["relies"].to_dict() == tests["relies"].to_dict()
    assert tests.loc["sei_whale", "relies"] and not tests["relies"].all()


def test_an_audit_from_before_says_that_it_controlled_no_rate(runs: Path) -> None:
    for part in open_run(runs / "demo").parts():
        rows = pq.read_table(part)
        pq.write_table(rows.drop_columns([name for name in rows.column_names if name.startswith("exchange")]), part)
    for path in ("dashboard.py", "pages/5_Leaks.py"):
        app = open_page(path)
        assert not app.exception and "did not control the false discovery rate" in " ".join(i.value for i in app.info)
    app.slider(key="reliance").set_value(1.0).run()
    none = {m.label: int(m.value) for m in app.metric if m.value.isdigit()}
    assert none["Confirmed leaks"] == none["Hidden reliance"] == 0


def test_calibration_says_what_is_missing_and_then_how_far_to_trust(runs: Path, journal: Journal) -> None:
    app = open_page("pages/5_Leaks.py", trust="true")
    app.session_state["trust"] = True
    app.run()
    assert not app.exception, app.exception
    assert "Nobody has flagged or kept" in texts(app)
    assert "No image has verdicts of two people" in texts(app)
    assert "the expected calibration error is" in texts(app)
    names = sorted(open_run(runs / "demo").audited())
    journal.add([Review(name, "flag" if number % 3 else "keep", "Ana") for number, name in enumerate(names)])
    journal.add([Review(name, "keep", "Ben") for name in names[:12]])
    app.run()
    assert not app.exception, app.exception
    shown = {metric.label: metric.value for metric in app.metric}
    assert all(shown[name].endswith("%") for name in ("Precision", "Recall", "Leak rate of the set"))
    told = app.dataframe[-1].value
    assert told["image"].tolist() == [name for number, name in enumerate(names[:12]) if number % 3]
    assert set(told["flag"]) == {"Ana"} and set(told["keep"]) == {"Ben"} and set(told["newest"]) == {"keep"}
    best = float(shown["Suggested threshold"])
    assert 0.01 <= best <= 0.25
    if app.slider(key="false_rate").value != best:
        app.button(key="trust_use").click().run()
        assert app.slider(key="false_rate").value == best


def test_an_image_in_the_url_is_the_one_shown(runs: Path) -> None:
    name = sorted(open_run(runs / "demo").audited())[7]
    app = open_page("pages/4_Heatmaps.py", image=name)
    assert app.text_input(key="image").value == name


def test_an_unknown_image_is_explained(runs: Path) -> None:
    app = open_page("pages/4_Heatmaps.py")
    app.text_input(key="image").set_value("no<b>body.jpg").run()
    assert not app.exception
    assert "no row" in app.error[0].value


def test_the_export_holds_what_was_flagged(runs: Path, journal: Journal) -> None:
    names = sorted(open_run(runs / "demo").audited())[:3]
    journal.add([Review(name, "flag", "Ana", reason="water") for name in names])
    app = open_page("pages/6_Export.py")
    assert app.dataframe[0].value["image"].tolist() == names
    assert app.dataframe[0].value["reviewer"].tolist() == ["Ana"] * 3


def test_the_export_page_writes_for_other_tools_and_takes_their_verdicts(runs: Path, journal: Journal) -> None:
    run = open_run(runs / "demo")
    name = min(run.audited())
    journal.add([Review(name, "keep", "Ana")])
    app = open_page("pages/6_Export.py")
    for key, form in interchange.FORMATS.items():
        app.selectbox(key="export_to").set_value(key).run()
        app.segmented_control(key="export_only").set_value("reviewed").run()
        app.button(key="get_other").click().run()
        assert not app.exception and not app.error
        assert app.button(key="get_other").label == f"Download for {form.title}"
    path = interchange.export_run(run, runs / "fo", to="fiftyone", only="reviewed").path
    content = (path / "samples.json").read_text().replace('"tags": ["keep"]', '"tags": ["flag"]').encode()
    app.text_input(key="reviewer").set_value("Bo").run()
    app.file_uploader(key="verdicts").set_value(("samples.json", content, "application/json")).run()
    app.button(key="merge").click().run()
    assert not app.exception and not app.error
    assert app.success[0].value == "1 verdicts added, 1 were known already."
    assert journal.latest()[["image", "verdict", "reviewer"]].to_numpy().tolist() == [[name, "flag", "Bo"]]


def test_pages_are_layout_only() -> None:
    for page in [*PAGES, "dashboard.py"]:
        lines = (ROOT / page).read_text().splitlines()
        assert len(lines) <= 60, page
        assert not [line for line in lines if line.startswith("def ")], page


def test_exploring_pages_never_import_torch(runs: Path) -> None:
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('dashboard.py', default_timeout=60).run()\n"
        f"for page in {EXPLORING!r}:\n"
        "    app.switch_page(page).run()\n"
        "    assert not app.exception, (page, app.exception)\n"
        "print(sorted({'torch', 'fastai'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr


def test_the_real_table_opens_whole(real_data: Path, runs: Path) -> None:
    from whalecam.data import open_dataset
    from whalecam.store.manifest import DatasetRecord
    from whalecam.store.run import create_run

    csv = real_data / "happywhale" / "train.csv"
    data = open_dataset(csv, None)
    create_run(runs / "real", DatasetRecord(str(csv), None, vars(data.columns), data.fingerprint))
    shutil.rmtree(runs / "demo")
    app = open_page()
    app.switch_page("pages/1_Dataset.py").run()
    shown = {metric.label: metric.value for metric in app.metric}
    assert not app.exception and not app.error, texts(app)
    assert "51,033" in shown.values() or "51033" in shown.values(), shown


def test_a_link_of_an_earlier_version_sets_the_fields_that_it_names(runs: Path) -> None:
    app = open_page(excess="0.5", needs="0.4", run="demo")
    assert not app.exception, app.exception
    assert (app.slider(key="attention").value, app.slider(key="reliance").value) == (0.5, 0.4)
    app.switch_page("pages/5_Leaks.py")
    for name, value in {"leaks_species": "sei_whale", "leaks_verdict": "Clean"}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    chosen = app.multiselect(key="leaks_label").value, app.multiselect(key="leaks_assessment").value
    assert chosen == (["sei_whale"], ["clean"])
    assert not {"excess", "needs", "leaks_species", "leaks_verdict"} & set(app.query_params)
    app.switch_page("pages/1_Dataset.py")
    app.query_params["dataset_tab"] = "Pictures"
    app.run()
    assert not app.exception and app.query_params["dataset_tab"] == "Images"
