"""Cues beyond the background on Patterns: named, with their images, and a list to take along."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pages.test_pages import open_page, texts
from whalecam.store.cue_rows import STAMP, CueRow, write_cue_rows
from whalecam.store.open_table import open_table
from whalecam.store.run import Run, open_run, parts_in

CELLS, CARRYING, TESTED = [63], 10, 24


def planted(run: Run, erased: float = 0.1) -> list[str]:
    """What a test would give of a class, ten images of which rely on a mark in the lower right corner.

    Args:
        erased: what is left of their probability without it.
    """
    table = open_table(run).all_rows()
    predicted = table["predicted"].value_counts().index[0]
    images = [str(name) for name in table.loc[table["predicted"] == predicted, "image"]][:TESTED]
    rows: list[CueRow] = [
        {
            "image": image,
            "label": predicted,
            "predicted": predicted,
            "unit": at,
            "fold": 0,
            "before": 0.9,
            "exchanges": [],
            "patch": {
                "rows": 8,
                "columns": 8,
                "cells": CELLS if at < CARRYING else [at - CARRYING],
                "share": 0.5,
                "look": [float(at < CARRYING), float(at % 3), float(at % 5)],
                "erased": erased if at < CARRYING else 0.9,
                "placebo": [0.88, 0.88],
            },
        }
        for at, image in enumerate(images)
    ]
    write_cue_rows(run, rows)
    return images[:CARRYING]


def test_the_tab_names_a_cue_and_opens_its_images(runs: Path) -> None:
    images = planted(open_run(runs / "demo"))
    app = open_page("pages/8_Patterns.py")
    app.query_params["patterns_tab"] = "Cues"
    app.run()
    shown = texts(app).replace("\\", "")
    assert "Experimental" in shown
    assert "(lower right); erasing it costs 0.80 of probability (placebo 0.02" in shown
    (button,) = [each for each in app.button if str(each.label).startswith("Open the ")]
    assert button.label == f"Open the {len(images)} images"
    button.click().run()
    region = app.session_state["leaks_region"]
    assert region.startswith("images [") and all(f'"{image}"' in region for image in images)


@pytest.mark.parametrize("is_tested", [False, True])
def test_the_tab_starts_the_test_and_shows_what_it_gave(runs: Path, is_tested: bool) -> None:
    if is_tested:
        planted(open_run(runs / "demo"))
    app = open_page("pages/8_Patterns.py")
    app.query_params["patterns_tab"] = "Cues"
    app.run()
    assert not app.exception and not app.error, texts(app)
    assert app.button(key="test_cues").label == ("Go on testing" if is_tested else "Test for cues")
    assert ("A mark, lower right" in texts(app)) == is_tested
    assert ("were tested" in texts(app)) == is_tested
    behind = [part for part in app.expander if part.label == "How the test works, and testing again"]
    assert [button.key for part in behind for button in part.button] == (["test_cues"] if is_tested else [])


def test_the_tab_says_what_an_earlier_edition_measured(runs: Path) -> None:
    run = open_run(runs / "demo")
    planted(run)
    (part,) = parts_in(run.cues)
    stored = pq.read_table(part)
    pq.write_table(stored.replace_schema_metadata({STAMP: run.manifest.model_sha256.encode()}), part)
    app = open_page("pages/8_Patterns.py")
    app.query_params["patterns_tab"] = "Cues"
    app.run()
    assert "An earlier version of the test measured 1 predicted" in texts(app)
    assert app.button(key="test_cues").label == "Go on testing"


def test_without_a_cue_the_tab_settles_nothing_while_classes_are_left(runs: Path) -> None:
    planted(open_run(runs / "demo"), erased=0.88)
    app = open_page("pages/8_Patterns.py")
    app.query_params["patterns_tab"] = "Cues"
    app.run()
    assert "No cue beyond chance so far" in texts(app) and not app.success


def test_an_image_is_said_to_rely_on_a_cue_that_its_assessment_knows_nothing_of(runs: Path) -> None:
    run = open_run(runs / "demo")
    relying = planted(run)
    for image, is_said in ((relying[0], True), (str(open_table(run).all_rows()["image"].iloc[-1]), False)):
        app = open_page("pages/4_Heatmaps.py", image=image)
        assert not app.exception and app.text_input(key="image").value == image
        assert ("it relies on a mark, lower right" in texts(app)) == is_said, image


def test_a_part_of_the_cues_that_cannot_be_read_takes_no_image_away(runs: Path) -> None:
    run = open_run(runs / "demo")
    planted(run)
    (part,) = parts_in(run.cues)
    whole = part.read_bytes()
    part.write_bytes(b"PAR1" + bytes(200) + whole[200:])  # its footer is whole
    app = open_page("pages/4_Heatmaps.py")
    assert not app.exception
    assert [error for error in app.error if "Delete it, then run again" in str(error.value)]
    assert "Map: exact" in texts(app) and "Background test" in [part.label[:15] for part in app.expander]
