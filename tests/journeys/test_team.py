"""A reviewer's queue, bulk verdicts and the report, in a real browser on a real server."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Dashboard, expect, settled, sign_in, until
from tests.journeys.test_queue import Runs, journal, name_of, run  # noqa: F401
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.store.reviews import Dismissals, Journal
from whalecam.store.run import Run
from whalecam.store.table import NO_REVIEWS, Filters, Table

pytestmark = pytest.mark.journey
# ruff: noqa: F811


@pytest.fixture
def table(run: Run) -> Table:
    return Table(run.parts(), Thresholds(), NO_REVIEWS)


def test_skip_judge_refresh_and_come_back_by_keyboard(
    dashboard: Dashboard, visitor: Any, journal: Journal, table: Table, run: Run
) -> None:
    names = table.page(Filters(), "name", 2**31)["image"].tolist()
    page = visitor()
    runs = Runs(page)
    page.goto(f"{dashboard.address}/Heatmaps?run={run.name}&image_order=name&image_queue=new+to+me&image={names[0]}")
    sign_in(settled(page), "Ana")
    page.locator("canvas.heat").first.wait_for()
    page.locator("h1").click()
    page.keyboard.press("s")
    until(page, lambda: name_of(page) == names[1])
    settled(page).wait_for_timeout(1500)
    page.get_by_text("1 skipped, at the end").wait_for()
    whole = runs.whole
    page.keyboard.press("f")
    until(page, lambda: len(journal.latest()) == 1)
    page.get_by_text(f"1 of {len(names)} reviewed by you").wait_for()
    assert runs.whole == whole, "the progress moves on without a run of the whole page"
    page.keyboard.press("n")
    until(page, lambda: name_of(page) == names[2])
    settled(page).wait_for_timeout(1500)
    page.keyboard.press("k")
    until(page, lambda: len(journal.latest()) == 2)
    page.get_by_text("images a minute").wait_for()
    page.goto(f"{dashboard.address}/Heatmaps?run={run.name}&image_order=name&image_queue=new+to+me&image={names[-1]}")
    settled(page)
    page.get_by_text("1 skipped, at the end").wait_for()
    page.get_by_text("This image cannot be shown").wait_for()
    page.locator("h1").click()
    page.keyboard.press("j")
    until(page, lambda: name_of(page) == names[0])
    settled(page).wait_for_timeout(1000)
    page.keyboard.press("?")
    page.get_by_text("s skip").wait_for()
    assert journal.latest()["image"].tolist() == names[1:3]


def test_a_whole_filter_is_flagged_and_one_key_takes_it_back(
    dashboard: Dashboard, visitor: Any, journal: Journal, table: Table, run: Run
) -> None:
    suspects = set(table.all_rows(Filters(assessments=SUSPECT_ASSESSMENTS))["image"])
    page = visitor()
    page.goto(f"{dashboard.address}/Leaks?run={run.name}")
    sign_in(settled(page), "Ana")
    page.get_by_role("button", name="Sign all shown by this filter").click()
    page.get_by_text(f"{len(suspects)} images shown by this filter").wait_for()
    settled(page).wait_for_timeout(500)
    page.get_by_role("button", name=f"Flag {len(suspects)} images").click()
    until(page, lambda: set(journal.latest()["image"]) == suspects)
    page.get_by_text("One undo takes all of them back").wait_for()
    settled(page)
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.wait_for_timeout(1500)
    page.keyboard.press("z")
    until(page, lambda: journal.latest().empty)
    assert set(journal.standing()["image"]) == set() and journal.version() == len(suspects) + 1


def test_the_rows_of_a_finding_are_signed_at_once(
    dashboard: Dashboard, visitor: Any, journal: Journal, run: Run
) -> None:
    page = visitor()
    page.goto(f"{dashboard.address}/Dataset?run={run.name}&dataset_tab=Findings")
    sign_in(settled(page), "Ana")
    twins = page.locator(".stVerticalBlock", has_text="is spelt almost like").last
    twins.get_by_text("Affected rows").click()
    page.get_by_role("button", name="Sign all of this finding").click()
    page.get_by_text("images of this finding").wait_for()
    settled(page).wait_for_timeout(500)
    flag = page.get_by_role("button", name=re.compile(r"^Flag \d+ images"))
    number = int(flag.inner_text().split()[-2])
    flag.click()
    until(page, lambda: len(journal.latest()) == number > 1)
    assert journal.undo("Ana") and journal.latest().empty
    assert Dismissals(run.reviews_url, "x").standing().empty


def test_the_report_is_downloaded_and_opens_without_a_network(
    dashboard: Dashboard, visitor: Any, run: Run, table: Table, tmp_path: Path
) -> None:
    suspects = table.images(Filters(assessments=SUSPECT_ASSESSMENTS))
    page = visitor()
    page.goto(f"{dashboard.address}/Export?run={run.name}")
    settled(page).wait_for_timeout(1000)
    with page.expect_download(timeout=120_000) as waiting:
        page.get_by_role("button", name="Download the report").click()
    assert waiting.value.suggested_filename == f"{run.name}-report.html"
    waiting.value.save_as(tmp_path / "r.html")
    offline = visitor()
    offline.context.set_offline(True)
    offline.goto((tmp_path / "r.html").as_uri())
    expect(offline.locator("h1")).to_have_text(run.name)
    assert len(suspects) > 2
    expect(offline.locator(".case")).to_have_count(min(24, len(suspects)))
