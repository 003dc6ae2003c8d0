"""Many images signed one after another and several at once, in a real browser: journal, page and CSV say the same."""

from typing import Any

import pandas as pd
import pytest

from tests.journeys.conftest import Dashboard, settled, sign_in
from tests.journeys.test_components import focused, until
from tests.journeys.test_queue import journal, run  # noqa: F401
from whalecam.arrays import records
from whalecam.store.reviews import Journal
from whalecam.store.run import Run

pytestmark = pytest.mark.journey
# ruff: noqa: F811
SINGLES, TOGETHER = 10, 6
PATIENCE_MS = 60_000


@pytest.fixture
def names(run: Run) -> list[str]:
    return sorted(run.audited())


@pytest.fixture
def page(dashboard: Dashboard, run: Run, visitor: Any) -> Any:
    """The Top losses page, all images by name, signed in as Ana."""
    page = visitor()
    page.goto(f"{dashboard.address}/Top_losses?run={run.name}&losses_order=name&losses_size=48")
    sign_in(settled(page), "Ana")
    return page


def said(journal: Journal) -> dict[str, tuple[str, str]]:
    """image → (verdict, reason) of the verdicts that count."""
    latest = journal.latest()
    return {row["image"]: (row["verdict"], row["reason"]) for row in records(latest)}


def shown(page: Any) -> dict[str, str]:
    """image → verdict of the badges on the cards."""
    words = {"flagged": "flag", "kept": "keep", "unsure": "unsure"}
    labels = page.locator(".card").evaluate_all("(cards) => cards.map((card) => card.getAttribute('aria-label'))")
    parts = [label.split(", ") for label in labels]
    return {next(p for p in part if p.endswith(".jpg")): words[part[-1]] for part in parts if part[-1] in words}


def exported(page: Any, dashboard: Dashboard, run: Run) -> dict[str, tuple[str, str]]:
    page.goto(f"{dashboard.address}/Export?run={run.name}&export_only=reviewed")
    settled(page).wait_for_timeout(1000)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the CSV").click()
    frame = pd.read_csv(waiting.value.path(), dtype=str, keep_default_na=False)
    assert set(frame["reviewer"]) == {"Ana"}
    return {row["image"]: (row["verdict"], row["reason"]) for row in records(frame)}


def test_ten_images_by_key_and_six_at_once_are_the_ones_that_were_seen(
    page: Any, dashboard: Dashboard, run: Run, journal: Journal, names: list[str]
) -> None:
    cards = page.locator(".card")
    cards.nth(0).click()
    page.get_by_role("button", name="Reason, note").click()
    page.get_by_text("1 · water", exact=True).first.click()
    settled(page)
    page.keyboard.press("Escape")
    settled(page)
    page.get_by_role("button", name="Flag").first.click()
    wanted = {names[0]: ("flag", "water")}
    until(page, lambda: said(journal), wanted, PATIENCE_MS)
    settled(page)
    cards.nth(1).focus()
    for _ in range(SINGLES - 1):
        page.keyboard.press("ArrowRight")
        wanted[focused(page)] = ("flag", "")
        page.keyboard.press("f")
    assert len(wanted) == SINGLES, f"ten different images had the focus: {list(wanted)}"
    until(page, lambda: said(journal), wanted, PATIENCE_MS)
    last = list(wanted)[-1]
    page.get_by_text(f"flagged {last}").first.wait_for()
    for number in range(24, 24 + TOGETHER):
        cards.nth(number).click()
    page.get_by_role("button", name="Keep").first.click()
    single, wanted = wanted, wanted | dict.fromkeys(names[24 : 24 + TOGETHER], ("keep", ""))
    until(page, lambda: said(journal), wanted, PATIENCE_MS)
    page.get_by_text(f"kept {names[24]} and 5 more").first.wait_for()
    until(page, lambda: shown(page), {image: verdict for image, (verdict, _) in wanted.items()}, PATIENCE_MS)
    assert journal.version() == len(wanted), "one entry for each"
    page.keyboard.press("z")
    until(page, lambda: said(journal), single, PATIENCE_MS)
    page.get_by_text(f"undone: {names[24]} and 5 more").first.wait_for()
    page.keyboard.press("z")
    until(page, lambda: said(journal), {image: words for image, words in single.items() if image != last}, PATIENCE_MS)
    for before in (single, wanted):
        page.keyboard.press("y")
        until(page, lambda: said(journal), before, PATIENCE_MS)
    until(page, lambda: shown(page), {image: verdict for image, (verdict, _) in wanted.items()}, PATIENCE_MS)
    assert exported(page, dashboard, run) == wanted


def test_signed_images_leave_the_unreviewed_ones_and_none_is_passed_over(
    page: Any, dashboard: Dashboard, run: Run, journal: Journal, names: list[str]
) -> None:
    page.goto(
        f"{dashboard.address}/Top_losses?run={run.name}&losses_order=name&losses_size=24&losses_review=unreviewed"
    )
    sign_in(settled(page), "Ana")
    page.locator(".card").first.focus()
    for _ in range(5):
        page.keyboard.press("k")
    until(page, lambda: said(journal), dict.fromkeys(names[:5], ("keep", "")), PATIENCE_MS)
    until(page, lambda: page.locator(".card").first.get_attribute("aria-label").split(", ")[1], names[5], PATIENCE_MS)
    assert until(page, lambda: focused(page), names[5])
    page.get_by_role("button", name="Select all").click()
    page.keyboard.press("u")
    wanted = dict.fromkeys(names[:5], ("keep", "")) | dict.fromkeys(names[5:29], ("unsure", ""))
    until(page, lambda: said(journal), wanted, PATIENCE_MS)
    until(page, lambda: focused(page), names[29], PATIENCE_MS)


def test_without_a_name_nothing_is_signed_and_the_selection_stays(
    visitor: Any, dashboard: Dashboard, run: Run, journal: Journal, names: list[str]
) -> None:
    page = visitor()
    page.goto(f"{dashboard.address}/Top_losses?run={run.name}&losses_order=name")
    settled(page)
    for number in (1, 3):
        page.locator(".card").nth(number).click()
    page.keyboard.press("f")
    page.get_by_text(f"Not signed: {names[1]} and 1 more").wait_for()
    until(page, lambda: page.locator(".card.selected").count(), 2)
    assert journal.version() == 0
    sign_in(page, "Ana")
    page.get_by_role("button", name="Flag").first.click()
    until(page, lambda: set(said(journal)), {names[1], names[3]}, PATIENCE_MS)
