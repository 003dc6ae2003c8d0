"""The Matches page: what it says before there are matches, the queue, verdicts by button and undo, without torch."""

from pathlib import Path

import pytest

import whalecam as wc
from tests import individuals
from tests.pages.test_pages import drawn, open_page, texts
from whalecam.store.matches import MatchTables
from whalecam.store.reviews.match_verdicts import MatchJournal
from whalecam.store.run import open_run

PAGE = "pages/9_Matches.py"


@pytest.fixture
def matched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    csv = individuals.draw(tmp_path / "set")
    run = individuals.run_of(tmp_path / "runs" / "fins", csv)
    encoder = wc.open_encoder(encode=individuals.water_reader, size=individuals.SIDE)
    wc.matches(run, model=encoder, masks=csv.parent / "masks")
    monkeypatch.setenv("WHALECAM_RUNS", str(tmp_path / "runs"))
    return run.path


def test_a_run_without_matches_says_how_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv = individuals.draw(tmp_path / "set")
    individuals.run_of(tmp_path / "runs" / "fins", csv)
    monkeypatch.setenv("WHALECAM_RUNS", str(tmp_path / "runs"))
    app = open_page(PAGE, run="fins")
    assert not app.exception and "the day instead of" in texts(app)
    assert [button.label for button in app.button if "matches" in button.label] == ["Make the matches"]


def test_a_suspicious_match_is_signed_and_taken_back(matched: Path) -> None:
    app = open_page(PAGE, run="fins")
    assert not app.exception and "rest on the encounter" in texts(app)
    (behind,) = [part for part in app.expander if part.label.startswith("What was compared")]
    assert (
        any("experimental" in caption.value for caption in behind.caption) and "compared by" in behind.markdown[0].value
    )
    assert app.markdown[0].value.startswith("Top"), "what the matches say stands first"
    assert '<i class="mark ' in drawn(app)
    assert "these matches have no maps" in texts(app) and not app.toggle, "no heat, no outline"
    app.text_input(key="reviewer").set_value("Ann").run()
    app.button(key="match_background").click().run()
    journal = MatchJournal.of(open_run(matched))
    first = (
        MatchTables(open_run(matched))
        .assessed()
        .sort_values(["drop", "query"], ascending=[False, True])["query"]
        .iloc[0]
    )
    signed = journal.latest()
    assert signed[["query", "verdict", "reviewer"]].to_numpy().tolist() == [[first, "background", "Ann"]]
    app.button(key="match_undo").click().run()
    assert not app.exception and journal.latest().empty
    assert journal.history(first)["event"].tolist() == ["sign", "undo"]


def test_an_individual_of_the_catalogue_shows_its_images_and_a_click_their_match(matched: Path) -> None:
    app = open_page(PAGE, run="fins")
    (panel,) = [part for part in app.expander if part.label.startswith("The catalogue")]
    assert panel.label == "The catalogue (6 individuals)"
    (frame,) = [frame.value for frame in panel.dataframe]
    assert frame["individual"].tolist() == [f"=whale{number}" for number in range(6)]
    assert (frame["images"] == 6).all() and (frame["encounters"] == 2).all() and (frame["right"] == 6).all()
    assert (frame["resting"] == 6).all() and (frame["taken_for"] == "").all()
    assert "whale3: 6 images" not in texts(app)
    app.text_input(key="match_individual").set_value("=whale3").run()
    assert not app.exception and "=whale3: 6 images" in texts(app).replace("\\", "")
    app.text_input(key="match_individual").set_value("whale").run()
    assert not app.exception and [message.value for message in app.info] == [
        "No individual of these matches is named whale."
    ]


def test_an_address_opens_the_match_and_the_individual_that_it_names(matched: Path) -> None:
    query = sorted(MatchTables(open_run(matched)).assessed()["query"])[-1]
    app = open_page(PAGE, run="fins", match_list="all", match_query=query, match_individual="=whale2")
    assert not app.exception and app.text_input(key="match_query").value == query
    (panel,) = [part for part in app.expander if part.label.startswith("The catalogue")]
    assert panel.proto.expanded and "=whale2: 6 images" in texts(app).replace("\\", "")
    before, after = app.text_input(key="match_query").value, "none.jpg"
    app.text_input(key="match_query").set_value(after).run()
    assert not app.exception and [message.value for message in app.info] == [
        r"none\.jpg is not in this list. Choose another list."
    ]
    assert app.text_input(key="match_query").value == before, "what is in view stays"
    app.text_input(key="match_individual").set_value("").run()
    (panel,) = [part for part in app.expander if part.label.startswith("The catalogue")]
    assert panel.proto.expanded, "what is taken back closes nothing"
    app.button(key="match_previous").click().run()
    assert not app.exception and app.text_input(key="match_query").value not in (before, after)


def test_a_verdict_without_a_name_is_refused_in_words(matched: Path) -> None:
    app = open_page(PAGE, run="fins")
    app.button(key="match_same").click().run()
    assert not app.exception and any("must be signed" in error.value for error in app.error)
    assert MatchJournal.of(open_run(matched)).latest().empty


def test_a_query_that_another_list_lacks_is_not_asked_for(matched: Path) -> None:
    app = open_page(PAGE, run="fins", match_list="all")
    signed = app.text_input(key="match_query").value
    app.text_input(key="reviewer").set_value("Ann").run()
    app.button(key="match_same").click().run()
    app.button(key="match_previous").click().run()
    assert app.text_input(key="match_query").value == signed
    app.segmented_control(key="match_list").set_value("without a verdict").run()
    assert not app.exception and not app.info and app.text_input(key="match_query").value != signed
