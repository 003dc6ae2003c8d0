"""Queue, bulk verdicts, chips and blind controls, through Streamlit's own test runner."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.least_sure import least_sure_first
from tests.pages.test_correcting_page import send
from tests.pages.test_pages import drawn, open_page, texts
from whalecam.app.screens.heatmaps import sides_of
from whalecam.app.shell.marks import mark
from whalecam.app.widgets.filters import View
from whalecam.app.widgets.review_controls import reasons
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.store.reviews import Journal, Review, Skips
from whalecam.store.run import Run, open_run
from whalecam.store.table import NO_REVIEWS, Filters, Table
from whalecam.text import percent
from whalecam.words import MARINE

HEATMAPS, LEAKS = "pages/4_Heatmaps.py", "pages/5_Leaks.py"
SUSPECTS = "suspects new to me"


@pytest.fixture
def journal(runs: Path) -> Journal:
    return Journal(open_run(runs / "demo").reviews_url)


@pytest.fixture
def table(runs: Path) -> Table:
    return Table(open_run(runs / "demo").parts(), Thresholds(), NO_REVIEWS)


def heatmaps(name: str = "Ana", **query: str) -> AppTest:
    app = open_page(HEATMAPS, **query)
    return app.text_input(key="reviewer").set_value(name).run() if name else app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    return str(app.text_input(key="image").value)


@pytest.fixture
def run(runs: Path) -> Run:
    return open_run(runs / "demo")


def test_a_reason_by_its_key_counts_for_the_next_verdict_and_no_further(run: Run, journal: Journal) -> None:
    app = heatmaps()
    image, known = shown(app), reasons(MARINE)
    assert len(known) == 8
    send(app, run, image, "pressed", name="2")
    assert any(f"**{known[1]}**" in caption.value for caption in app.caption)
    for key in ("3", "flag"):
        send(app, run, image, "pressed", name=key)
    assert journal.latest()["reason"].tolist() == [known[2]]
    for key in ("4", "4"):
        send(app, run, image, "pressed", name=key)
    assert not any("by its key" in caption.value for caption in app.caption), "taken back by the same key"
    send(app, run, image, "pressed", name="5")
    press(press(app, "queue_next"), "one_keep")
    assert journal.latest().set_index("image").loc[shown(app), "reason"] == "", "it was for the image before"


def test_classes_to_compare_begin_with_what_was_predicted_and_what_is_true(runs: Path, table: Table) -> None:
    row = next(table.row(name) for name in table.images(Filters(correct=False), "loss", 1))
    app = open_page(HEATMAPS, image=row["image"], show="A versus B")
    assert [app.selectbox(key=f"class_{letter}").value for letter in "ab"] == [row["predicted"], row["label"]]
    right = next(table.row(name) for name in table.images(Filters(correct=True), "loss", 1))
    app = open_page(HEATMAPS, image=right["image"], show="A versus B")
    assert app.selectbox(key="class_a").value == right["predicted"] == right["label"]
    frame = app.dataframe[-1].value
    assert frame["logit"].is_monotonic_decreasing
    assert app.selectbox(key="class_b").value == frame["class"][1], "the runner-up"
    chosen = open_page(HEATMAPS, image=right["image"], show="A versus B", class_a=frame["class"][2])
    assert chosen.selectbox(key="class_a").value == frame["class"][2], "the address counts before"


def test_a_verdict_leads_on_to_the_next_image_where_that_is_wished(run: Run, table: Table, journal: Journal) -> None:
    names = table.images(Filters(), "name", 3)
    app = heatmaps(image=names[0], image_order="name")
    app.toggle(key="advance").set_value(True).run()
    assert shown(press(app, "one_flag")) == names[1]
    send(app, run, names[1], "pressed", name="keep")
    assert shown(app) == names[2]
    app.toggle(key="advance").set_value(False).run()
    assert shown(press(app, "one_unsure")) == names[2]
    assert dict(zip(*journal.latest()[["image", "verdict"]].to_numpy().T, strict=True)) == dict(
        zip(names, ("flag", "keep", "unsure"), strict=True)
    )
    unnamed = heatmaps("", image=names[0], image_order="name", advance="true")
    assert shown(press(unnamed, "one_flag")) == names[0] and unnamed.error, "nothing was signed"


def test_a_part_of_a_name_opens_its_image_and_one_of_several_names_some(runs: Path, table: Table) -> None:
    names = table.images(Filters(), "name")
    only = next(name for name in names if sum(name[3:5] in other for other in names) == 1)
    app = open_page(HEATMAPS, image=only[3:5].upper())
    assert shown(app) == only and not app.error
    several = open_page(HEATMAPS, image="0")
    said = several.error[0].value.replace("\\", "")
    assert f"no row for '0'. Names that contain it: {', '.join(names[:4])}, …" in said
    assert shown(press(several, "suggested_2")) == names[2] and not several.error


def test_a_mistyped_name_leads_to_those_like_it_or_to_the_first_of_the_queue(runs: Path, table: Table) -> None:
    name = table.images(Filters(), "name")[3]
    mistyped = f"{name[:-3]}gjp"
    app = open_page(HEATMAPS, image=mistyped)
    assert f"no row for '{mistyped}'. Names like it: {name}" in app.error[0].value.replace("\\", "")
    assert shown(press(app, "suggested_0")) == name and not app.error
    lost = open_page(HEATMAPS, image="something else altogether", image_order="name")
    assert "Type a part of a name" in lost.error[0].value
    assert shown(press(lost, "suggested_0")) == table.images(Filters(), "name")[0] and not lost.error


def test_an_image_has_the_mark_of_its_assessment_and_says_that_it_was_trained_on(runs: Path, table: Table) -> None:
    rows = [table.row(name) for name in table.images(Filters(), "name")]
    leak = next(row for row in rows if row["assessment"] == "confirmed_leak" and row["in_training"])
    held_out = next(row for row in rows if not row["in_training"] and row["predicted"])
    pages = [open_page(HEATMAPS, image=row["image"]) for row in (leak, held_out)]
    assert f"{mark('confirmed_leak')} <strong>Confirmed leak</strong>" in drawn(pages[0])
    assert ["trained on this image" in texts(app) for app in pages] == [True, False]


def test_what_stands_side_by_side_says_both_probabilities(table: Table) -> None:
    rows = [table.row(name) for name in table.images(Filters(), "name", 30)]
    tested = next(row for row in rows if row["reliance_image"] is not None)
    sides = sides_of(tested, "keep", "water")
    assert sides.uri.startswith("data:image/webp;base64,") and str(tested["reliance_donor"]) in sides.changed
    assert sides.verdict == "verdict: keep" and percent(tested["reliance_before"]) in sides.plain
    bare = sides_of({**tested, "reliance_image": None}, None, "water")
    assert (bare.uri, bare.changed, bare.verdict) == ("", "", "no verdict yet")


def test_uncertainty_goes_through_the_pictures_least_sure_first(runs: Path, table: Table) -> None:
    wanted = least_sure_first(table.all_rows(), Thresholds())
    app = heatmaps(image=wanted[0], image_order="uncertainty")
    seen = [shown(app), *(shown(press(app, "queue_next")) for _ in range(4))]
    assert seen == wanted[:5]
    assert shown(press(app, "queue_previous")) == wanted[3]
    app.slider(key="attention").set_value(0.5).run()
    app.text_input(key="image").set_value(least_sure_first(table.all_rows(), Thresholds(attention=0.5))[0]).run()
    assert shown(press(app, "queue_next")) == least_sure_first(table.all_rows(), Thresholds(attention=0.5))[1]


def test_the_first_picture_of_the_queue_is_one_i_have_not_judged(runs: Path, table: Table, journal: Journal) -> None:
    names = table.page(Filters(), "name")["image"].tolist()
    journal.add([Review(name, "keep", "Ana") for name in names[:3]])
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60).run()
    app.text_input(key="reviewer").set_value("Ana").run()
    app.query_params["image_order"], app.query_params["image_queue"] = "name", "new to me"
    app.switch_page(HEATMAPS).run()
    assert not app.exception and shown(app) == names[3]


@pytest.mark.parametrize("order", ["uncertainty", "loss"])
def test_a_gallery_page_shows_its_rows_in_the_chosen_order(runs: Path, table: Table, order: str) -> None:
    wanted = Filters(assessments=("clean", "cosmetic"))
    view = View(wanted, order, 10, 10)
    rows, kept = view.rows(table), table.all_rows(wanted).set_index("image")
    if order == "uncertainty":
        names = [name for name in least_sure_first(table.all_rows(), Thresholds()) if name in kept.index]
        assert rows["image"].tolist() == names[10:20] != sorted(names[10:20])
    else:
        assert rows["loss"].tolist() == sorted(kept["loss"], reverse=True)[10:20]
    assert list(rows.columns) == list(table.page(wanted).columns) and set(rows["image"]) <= set(kept.index)


def test_what_i_have_judged_is_passed_over_whatever_others_said(runs: Path, table: Table, journal: Journal) -> None:
    names = table.page(Filters(), "name")["image"].tolist()
    journal.add([Review(names[1], "keep", "Ana"), Review(names[2], "keep", "Ben")])
    app = heatmaps(image=names[0], image_order="name", image_queue="new to me")
    assert shown(press(app, "queue_next")) == names[2]
    assert f"1 of {len(table.all_rows())}" in texts(app).replace("*", "")
    press(app, "one_flag")
    assert journal.history(names[2])["reviewer"].tolist() == ["Ben", "Ana"]
    assert "2 of" in texts(app).replace("*", "") and shown(app) == names[2]


def test_skipped_pictures_come_last_for_me_after_a_restart_too(runs: Path, table: Table) -> None:
    names = table.page(Filters(), "name", 2**31)["image"].tolist()
    app = heatmaps(image=names[0], image_order="name", image_queue="new to me")
    assert shown(press(app, "queue_skip")) == names[1]
    assert "1 skipped, at the end" in texts(app)
    again = heatmaps(image=names[-1], image_order="name", image_queue="new to me")
    assert shown(press(again, "queue_next")) == names[0], "behind the last one"
    other = heatmaps("Ben", image=names[-1], image_order="name")
    assert "skipped" not in texts(other)
    press(again, "queue_resume")
    assert Skips.of(open_run(runs / "demo")).standing("Ana") == ()
    assert "skipped" not in texts(again)


def test_without_a_name_nothing_is_put_off_and_the_page_says_why(runs: Path) -> None:
    app = press(heatmaps(""), "queue_skip")
    assert "signed" in app.error[0].value
    assert "asks for your name" in texts(app)


def test_a_reason_and_a_note_are_stored_and_do_not_stick_to_the_next_picture(runs: Path, journal: Journal) -> None:
    app = heatmaps(image_order="name")
    first = shown(app)
    numbered = [f"{place} · {reason}" for place, reason in enumerate(reasons(MARINE), 1)]
    assert [option.content for option in app.button_group(key="one_reason").proto.options] == numbered
    app.button_group(key="one_reason").set_value("boat").run()
    app.text_input(key="one_note").set_value("a ferry").run()
    app.selectbox(key="one_suggested_label").set_value("beluga").run()
    press(app, "one_flag")
    said = journal.latest().set_index("image").loc[first]
    assert list(said[["reason", "note", "suggested_label"]]) == ["boat", "a ferry", "beluga"]
    second = shown(press(app, "queue_next"))
    press(app, "one_keep")
    said = journal.latest().set_index("image").loc[second]
    assert list(said[["verdict", "reason", "note", "suggested_label"]]) == ["keep", "", "", ""]


def test_all_that_a_filter_shows_is_signed_and_undone_at_once(runs: Path, table: Table, journal: Journal) -> None:
    suspects = table.all_rows(Filters(assessments=SUSPECT_ASSESSMENTS))["image"].tolist()
    journal.add([Review(suspects[0], "keep", "Ben")])
    app = open_page(LEAKS)
    app.text_input(key="reviewer").set_value("Ana").run()
    app.session_state["leaks_bulk"] = True
    app.run()
    assert f"{len(suspects)} images shown by this filter, 1 of them with a verdict" in texts(app).replace("*", "")
    assert app.button(key="leaks_bulk_sign").label == f"Flag {len(suspects) - 1} images"
    app.button_group(key="leaks_bulk_reason").set_value("water").run()
    press(app, "leaks_bulk_sign")
    latest = journal.latest().set_index("image")
    assert set(latest.index) == set(suspects) and latest.loc[suspects[0], "verdict"] == "keep"
    assert set(latest.loc[suspects[1:], "verdict"]) == {"flag"} and set(latest.loc[suspects[1:], "reason"]) == {"water"}
    press(app, "leaks_undo")
    assert journal.latest()["image"].tolist() == [suspects[0]]
    press(app, "leaks_redo")
    assert len(journal.latest()) == len(suspects)


def test_a_bulk_verdict_without_a_name_is_refused(runs: Path, journal: Journal) -> None:
    app = open_page(LEAKS)
    app.session_state["leaks_bulk"] = True
    app.run()
    press(app, "leaks_bulk_sign")
    assert "signed" in app.error[0].value and journal.version() == 0


def test_blind_controls_hide_every_score_and_are_counted(runs: Path, table: Table, journal: Journal) -> None:
    rows = table.all_rows().set_index("image")
    suspects = rows.index[rows["assessment"].isin(SUSPECT_ASSESSMENTS)]
    plain = heatmaps(image=suspects[0], image_queue=SUSPECTS)
    assert "Attention score" in {metric.label for metric in plain.metric}
    app = heatmaps(image=suspects[0], image_queue=SUSPECTS, controls_on="true")
    assert "hidden" in texts(app)
    seen: list[str] = []
    controls: list[str] = []
    for _ in range(len(suspects) + round(len(suspects) / 9)):
        assert not app.metric and not app.dataframe, "neither scores nor classes"
        seen.append(shown(app))
        press(app, "one_keep" if len(controls) % 2 else "one_flag")
        controls += [seen[-1]] if seen[-1] not in suspects else []
        press(app, "queue_next") if not app.button(key="queue_next").disabled else None
    assert set(seen) == set(suspects) | set(controls) and len(controls) == round(len(suspects) / 9) > 2
    assert set(rows.loc[controls, "assessment"]) <= {"clean", "cosmetic", "not_tested"}
    assert set(journal.controls()["image"]) == set(controls)
    trust = open_page(LEAKS)
    trust.session_state["trust"] = True
    trust.run()
    frame = next(table.value for table in trust.dataframe if "controls" in table.value)
    assert frame[["reviewer", "controls"]].to_numpy().tolist() == [["Ana", len(controls)]]
    flagged = int((journal.controls()["verdict"] == "flag").sum())
    assert frame["flagged"].tolist() == [flagged] and frame["rate"].tolist() == [100 * (flagged / len(controls))]


def test_a_verdict_given_with_scores_in_sight_is_no_control(runs: Path, table: Table, journal: Journal) -> None:
    app = heatmaps(image_queue=SUSPECTS, controls_on="true")
    app.switch_page("pages/3_Top_losses.py").run()
    app.session_state["losses_bulk"] = True
    app.run()
    press(app, "losses_bulk_sign")
    assert journal.version() == len(table.all_rows()) and journal.controls().empty


def test_the_name_that_a_first_verdict_asks_for_signs_it(runs: Path, journal: Journal) -> None:
    app = heatmaps("", image_order="name")
    image = shown(app)
    press(app, "one_keep")
    assert "name" in app.error[0].value and journal.version() == 0
    sign = next(button for button in app.button if button.label == "Sign")
    sign.click().run()
    assert journal.version() == 0, "without a name nothing is signed"
    app.text_input(key="one_name").set_value("  Ana ")
    next(button for button in app.button if button.label == "Sign").click().run()
    assert not app.exception and not app.error, texts(app)
    assert journal.latest()[["image", "verdict", "reviewer"]].to_numpy().tolist() == [[image, "keep", "Ana"]]
    assert [field.value for field in app.text_input if field.label == "Reviewer"] == ["Ana"]
    assert "Sign" not in [button.label for button in app.button]
