"""Pages of cards in a real browser: images come first, filters say what they leave, and signing never moves a card."""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from tests.journeys.conftest import Dashboard, expect, settled, until
from tests.journeys.test_queue import journal, run  # noqa: F401
from whalecam.app.screens.heatmaps import class_table
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.store.reviews import Journal
from whalecam.store.run import Run
from whalecam.store.table import NO_REVIEWS, Filters, Span, Table

pytestmark = pytest.mark.journey
# ruff: noqa: F811
FIRST_CARD_PX, IMAGES = 400, 12
PHONE = {"width": 390, "height": 844}
WHOLE = """() => [...document.querySelectorAll('*')]
  .flatMap((e) => (e.shadowRoot ? [...e.shadowRoot.querySelectorAll('.card img')] : []))
  .map((image) => image.getBoundingClientRect())
  .filter((box) => box.height > 40 && box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth)
  .length"""
"""How many images of cards lie in the window as a whole."""
COUNT_CLICKS = """addEventListener('click', (event) => {
  if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1
}, true)"""


@pytest.fixture
def visit(visitor: Callable[[], Any], dashboard: Dashboard, run: Run) -> Callable[..., Any]:
    """Open a page of this test's own run, at rest and with its cards."""

    def go(path: str = "Leaks", more: str = "", size: dict[str, int] | None = None) -> Any:
        page = visitor()
        if size:
            page.set_viewport_size(size)
        page.goto(f"{dashboard.address}/{path}?run={run.name}{more}")
        settled(page).locator(".card img").first.wait_for()
        return settled(page)

    return go


@pytest.fixture
def table(run: Run) -> Table:
    return Table(run.parts(), Thresholds(), NO_REVIEWS)


def counted(page: Any) -> int:
    text = page.locator('[data-testid="stCaptionContainer"]', has_text=re.compile(r"^[\d,]+ images$")).inner_text()
    return int(text.split()[0].replace(",", ""))


def top_of(what: Any) -> float:
    return float(what.bounding_box()["y"])


@pytest.mark.parametrize(("path", "more"), [("Leaks", "&leaks_assessment=Clean"), ("Top_losses", "")])
def test_the_first_screen_shows_images(visit: Callable[..., Any], path: str, more: str) -> None:
    page = visit(path, more)
    assert top_of(page.locator(".card").first) < FIRST_CARD_PX
    assert until(page, lambda: page.evaluate(WHOLE) >= IMAGES)
    page.set_viewport_size({"width": 2560, "height": 1440})
    assert until(page, lambda: page.locator(".card").first.bounding_box()["width"] > 220), "cards grow with the screen"
    page.set_viewport_size(PHONE)
    settled(page)
    assert top_of(page.locator(".card").first) < PHONE["height"] / 2
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_chosen_card_shows_its_background_test_and_no_card_moves(visit: Callable[..., Any]) -> None:
    page = visit()
    card = page.locator(".card").nth(2)
    before = top_of(card)
    card.click()
    test = page.get_by_text("Background test: what happens when the water changes")
    test.wait_for()
    settled(page)
    assert top_of(card) == before
    assert 0 < top_of(test) < 900
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(test).to_have_count(0)


def test_back_from_an_image_finds_the_list_as_it_was_left(visit: Callable[..., Any]) -> None:
    page = visit("Top_losses", size={"width": 1440, "height": 600})
    for place in (8, 22):
        page.locator(".card").nth(place).click()
    page.get_by_text(re.compile("^2 of [0-9]+ selected")).wait_for()
    opened = page.locator(".card").nth(22)
    before = top_of(opened)
    opened.hover()
    opened.locator(".open").click()
    page.wait_for_url(re.compile("/Heatmaps"))
    settled(page)
    page.go_back()
    page.wait_for_url(re.compile("/Top_losses"))
    settled(page).locator(".card img").first.wait_for()
    page.get_by_text(re.compile("^2 of [0-9]+ selected")).wait_for()
    assert until(page, lambda: abs(top_of(opened) - before) < 2)
    page.get_by_role("button", name="Keep", exact=True).wait_for()
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_enabled()


def test_the_review_bar_stays_in_view(visit: Callable[..., Any]) -> None:
    page = visit("Top_losses")
    page.locator(".card").nth(23).click()
    flag = page.get_by_role("button", name="Flag", exact=True)
    expect(flag).to_be_in_viewport()
    title = page.get_by_text("Top losses", exact=True).last
    expect(title).not_to_be_in_viewport()
    assert until(page, lambda: top_of(title) < 0 <= top_of(flag))


def test_who_signs_is_asked_where_it_is_needed(visit: Callable[..., Any], journal: Journal) -> None:
    page = visit(size=PHONE)
    page.locator(".card").nth(1).click()
    page.get_by_text(re.compile("^1 of [0-9]+ selected")).wait_for()
    settled(page).get_by_role("button", name="Flag", exact=True).click()
    name = page.get_by_role("textbox", name="Your name")
    name.fill("Ana")
    settled(page)
    assert journal.version() == 0
    page.get_by_role("button", name="Sign", exact=True).click()
    until(page, lambda: journal.latest()["reviewer"].tolist() == ["Ana"])
    expect(name).to_have_count(0)
    until(page, lambda: page.evaluate("localStorage.getItem('whalecam.reviewer')") == "Ana")


def test_filters_say_what_they_leave_and_are_taken_back(visit: Callable[..., Any], table: Table) -> None:
    page = visit()
    suspects = table.count(Filters(assessments=SUSPECT_ASSESSMENTS))
    assert counted(page) == suspects
    box = page.get_by_role("checkbox", name="sei_whale")
    of_species = table.count(Filters(assessments=SUSPECT_ASSESSMENTS, labels=("sei_whale",)))
    expect(page.locator(".option:has(#label-sei_whale)")).to_contain_text(str(of_species))
    box.check()
    page.wait_for_url(re.compile("leaks_label=sei_whale"))
    until(page, lambda: counted(page) == of_species)
    page.get_by_role("button", name=re.compile("^sei_whale")).click()
    until(page, lambda: counted(page) == suspects)
    page.get_by_role("button", name="Clear all").click()
    until(page, lambda: counted(page) == table.count())
    page.reload()
    settled(page)
    until(page, lambda: counted(page) == table.count())


def test_a_range_is_drawn_on_a_histogram_and_stands_in_the_address(visit: Callable[..., Any], table: Table) -> None:
    page = visit("Top_losses")
    bars = page.locator(".bars").first
    bars.scroll_into_view_if_needed()
    at = bars.bounding_box()
    page.mouse.move(at["x"] + 0.52 * at["width"], at["y"] + 10)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] + 9, at["y"] + 10, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile("losses_spans=attention_score"))
    settled(page)
    (low,) = re.findall(r"attention_score(?::|%3A)([\d.]+)", page.url)
    expected, total = table.count(Filters(spans=(Span("attention_score", float(low), None),))), table.count()
    assert until(page, lambda: 0 < expected < total and counted(page) == expected)
    page.get_by_role("slider", name="Attention score: from").press("Home")
    assert until(page, lambda: counted(page) == total)


def choose_row(page: Any, number: int) -> None:
    """Click before a row of the last table of a page, whose cells are drawn and no elements."""
    grid = page.get_by_test_id("stDataFrame").last
    grid.locator("canvas").first.wait_for()
    grid.scroll_into_view_if_needed()
    box = settled(page).get_by_test_id("stDataFrame").last.bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 35 * (number + 1) + 17)


def test_a_row_of_a_table_leads_to_its_images_or_to_the_map_of_its_class(
    visit: Callable[..., Any], table: Table, run: Run
) -> None:
    page = visit()
    page.get_by_text("Per species", exact=True).click()
    label = table.per_label()["label"].tolist()[1]
    choose_row(page, 1)
    page.wait_for_url(re.compile(f"leaks_label={label}"))
    until(page, lambda: counted(page) == table.count(Filters(assessments=SUSPECT_ASSESSMENTS, labels=(label,))))
    image = table.images(Filters(correct=True), "loss", 1)[0]
    page.goto(page.url.replace("/Leaks?", f"/Heatmaps?image={image}&"))
    page.get_by_text("evidence for").first.wait_for()
    choose_row(settled(page), 1)
    name = class_table(run, table.row(image))["class"][1]
    page.get_by_text(f"evidence for {name}").wait_for()
    assert f"class_a={name}" in page.url and "show=one+class" in page.url


def first_card(page: Any) -> str:
    return str(page.locator(".card").first.get_attribute("aria-label"))


def test_the_next_page_is_below_the_cards_and_begins_with_its_first(visit: Callable[..., Any]) -> None:
    page = visit("Top_losses")
    first = first_card(page)
    page.get_by_role("button", name="Next page").click()
    assert until(page, lambda: first_card(page) != first)
    expect(page.locator(".card").first).to_be_in_viewport()
    page.get_by_role("button", name="Previous page").click()
    assert until(page, lambda: first_card(page) == first)


def test_a_first_reader_needs_few_clicks_from_the_first_page_to_the_signed_list(
    visitor: Callable[[], Any], dashboard: Dashboard, run: Run, journal: Journal
) -> None:
    page = visitor()
    page.add_init_script(COUNT_CLICKS)
    page.goto(f"{dashboard.address}/?run={run.name}")
    settled(page).get_by_test_id("stSidebar").get_by_role("link", name="Leaks").click()
    page.locator(".card img").first.wait_for()
    settled(page).get_by_role("button", name="What is a leak?").click()
    page.get_by_text("Both together confirm a leak").wait_for()
    page.keyboard.press("Escape")
    page.locator(".card").nth(0).click()
    page.get_by_text(re.compile("^1 of [0-9]+ selected")).wait_for()
    settled(page).get_by_role("button", name="Flag", exact=True).click()
    page.get_by_role("textbox", name="Your name").fill("Ana")
    page.keyboard.press("Enter")
    until(page, lambda: len(journal.latest()) == 1)
    settled(page)
    for number in (1, 2):
        page.locator(".card").nth(number).click()
    page.get_by_text(re.compile("^2 of [0-9]+ selected")).wait_for()
    settled(page).get_by_role("button", name="Flag", exact=True).click()
    until(page, lambda: len(journal.latest()) == 3)
    settled(page).get_by_test_id("stSidebar").get_by_role("link", name="Export").click()
    page.get_by_role("heading", name="Export", level=1).wait_for()
    with settled(page).expect_download() as waiting:
        page.get_by_role("button", name="Download the CSV").click()
    frame = pd.read_csv(waiting.value.path(), dtype=str)
    assert set(frame["image"]) == set(journal.latest()["image"]) and set(frame["reviewer"]) == {"Ana"}
    assert 0 < int(page.evaluate("sessionStorage.clicks")) <= 15
