"""Individuals in a real browser: trained on, looked up, ten matches that rest on the water signed, out and back in."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests import individuals
from tests.journeys.conftest import LONG, Dashboard, expect, settled, sign_in, until
from whalecam.app.shell import jobs
from whalecam.config import SUSPECT_ASSESSMENTS
from whalecam.store.matches import MatchTables
from whalecam.store.reviews.match_verdicts import MatchJournal
from whalecam.store.run import Run, open_run

pytestmark = pytest.mark.journey
PEOPLE, ENCOUNTERS, SIGNED = 12, 3, 10


def choose(page: Any, field: str, option: str) -> None:
    settled(page).get_by_role("combobox", name=field, exact=True).click()
    page.get_by_role("option", name=re.compile(rf"^{re.escape(option)}( |$)")).click()
    settled(page)


def ended(page: Any, run: Path, what: str) -> bool:
    """Wait until a job of this kind is done, which a page that shows it says too."""
    return until(page, lambda: (job := jobs.status(run)) and (job.state, job.title) == ("done", what), LONG / 1000)


def is_signed(journal: MatchJournal, count: int) -> bool:
    """Whether this many matches have a verdict."""
    return len(journal.latest()) == count


def opened_and_trained(page: Any, dashboard: Dashboard, start: str, table: Path) -> Run:
    """The drawn set opened on the Dataset page, and a network trained on its individuals on the Model page."""
    query = f"own_csv={table}&own_images={table.parent / 'images'}&own_masks={table.parent / 'masks'}"
    page.goto(f"{dashboard.address}/Dataset?run={start}&{query}")
    choose(page, "Label column", "individual_id")
    expect(page.get_by_text(f"{PEOPLE} labels")).to_be_visible()
    page.get_by_role("textbox", name="Name of the run").fill("fins")
    page.locator(".st-key-own_open button").click()
    page.wait_for_url(re.compile("run=fins"))
    settled(page).get_by_role("button", name="Train a network").click()
    page.wait_for_url(re.compile("/Model"))
    choose(page, "Architecture", "efficientnet_lite0_fine")
    page.get_by_role("spinbutton", name="Epochs").fill("1")
    page.get_by_text("More options").click()
    page.get_by_role("spinbutton", name="Size (px)").fill("64")
    choose(page, "Loss", "arcface")
    settled(page).get_by_role("button", name="Train", exact=True).click()
    assert ended(page, dashboard.runs / "fins", "Training")
    expect(page.get_by_text("Images of one day are kept together")).to_be_visible()
    return open_run(dashboard.runs / "fins")


def test_ten_matches_that_rest_on_the_water_are_signed_exported_and_read_back(
    visitor: Callable[[], Any], dashboard: Dashboard, prepared: Path, tmp_path: Path
) -> None:
    table = individuals.draw(tmp_path / "set", people=PEOPLE, encounters=ENCOUNTERS)
    page, start = visitor(), dashboard.copy(prepared / "runs" / "demo").name
    run = opened_and_trained(page, dashboard, start, table)
    unseen = run.validation_images()
    assert len(unseen) > SIGNED

    settled(page).get_by_role("link", name="Matches").first.click()
    settled(page).get_by_role("button", name="Make the matches").click()
    assert ended(page, run.path, "Matches")
    expect(page.get_by_text("Matches rest on the encounter.").first).to_be_visible()
    rows = MatchTables(run).assessed()
    assert set(rows["query"]) == unseen and rows["assessment"].isin(SUSPECT_ASSESSMENTS).sum() >= SIGNED

    sign_in(page, "Ann")
    page.locator("h1").first.click()  # keys are for the buttons, not for the field
    journal = MatchJournal.of(run)
    for number in range(1, SIGNED + 1):
        settled(page).keyboard.press("4")
        assert until(page, partial(is_signed, journal, number))
    assert set(journal.latest()["verdict"]) == {"background"}
    settled(page).keyboard.press("0")
    assert until(page, partial(is_signed, journal, SIGNED - 1))
    settled(page).keyboard.press("4")
    assert until(page, partial(is_signed, journal, SIGNED))
    assert set(journal.latest()["query"]) <= unseen

    with page.expect_download() as waiting:
        settled(page).get_by_role("button", name="Download the matches").click()
    listed = pd.read_csv(waiting.value.path(), dtype=str, keep_default_na=False)
    assert len(listed) == len(unseen) and (listed["verdict"] == "background").sum() == SIGNED
    without = listed["verdict"] == ""
    listed.loc[without, ["verdict", "reviewer"]] = ["same", "Ben"]
    listed.to_csv(tmp_path / "back.csv", index=False)
    page.get_by_test_id("stFileUploaderDropzoneInput").last.set_input_files(str(tmp_path / "back.csv"))
    settled(page).get_by_role("button", name="Read it").click()
    expect(page.get_by_text(f"{int(without.sum())} verdicts added, {SIGNED} were known already")).to_be_visible()
    assert sorted(journal.latest()["reviewer"]) == ["Ann"] * SIGNED + ["Ben"] * int(without.sum())
    page.reload()
    expect(settled(page).get_by_text("Matches rest on the encounter.").first).to_be_visible()
