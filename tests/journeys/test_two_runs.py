"""Two runs, every control moved: pages, images, a reload and *back* keep what was chosen."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.conftest import ROOT
from tests.copies import copied
from tests.journeys.conftest import box_select, expect, faults_of, serving, settled, until
from tests.journeys.test_journeys import page  # noqa: F401  a fixture

pytestmark = pytest.mark.journey
OTHER = "other"
PAGES = ("Overview", "Dataset", "Model", "Top losses", "Heatmaps", "Leaks", "Patterns", "Export", "Compare")
MOVED = f"run={OTHER}&attention=0.9&reliance=0.2&false_rate=0.1&opacity=0.35&threshold=0.1&outline=false"


@pytest.fixture(scope="module")
def place(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, of which the one that is not worked with opens where an address names none."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("demo", OTHER):
        copied(prepared / "runs" / "demo", folder / "runs" / name)
    newer = (folder / "runs" / OTHER / "run.json").stat().st_mtime + 5
    os.utime(folder / "runs" / "demo" / "run.json", (newer, newer))
    return folder


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    log = place / "log.txt"
    with serving(ROOT / "dashboard.py", log, WHALECAM_RUNS=str(place / "runs")) as url:
        yield url
    assert faults_of(log) == []


def parameters(page: Any) -> dict[str, list[str]]:  # noqa: F811
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(urlsplit(page.url).query, keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def until_address(page: Any, **wanted: str | None) -> bool:  # noqa: F811
    """Wait until the address names `wanted`, None: until it does not name it; True, or a failure."""
    for _ in range(150):
        present = parameters(page)
        if all(present.get(name) == (None if value is None else [value]) for name, value in wanted.items()):
            return True
        page.wait_for_timeout(200)
    raise AssertionError(f"{page.url} does not say {wanted}")


def is_well(page: Any) -> None:  # noqa: F811
    """The page is drawn, of the right run, and without an error."""
    settled(page)
    expect(page.locator('[data-testid="stException"]')).to_have_count(0)
    expect(page.locator('[data-testid="stAlertContentError"]')).to_have_count(0)
    page.wait_for_function(
        "wanted => document.querySelector('[data-testid=\"stSidebar\"] .st-key-run input')?.value === wanted", arg=OTHER
    )


def follow(page: Any, name: str) -> None:  # noqa: F811
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True, level=1).wait_for()
    is_well(page)


def counted(page: Any) -> str:  # noqa: F811
    return str(page.locator('[data-testid="stCaptionContainer"]', has_text=re.compile(r"^[\d,]+ images$")).inner_text())


def test_every_page_keeps_the_run_and_what_was_moved(page: Any, address: str) -> None:  # noqa: F811
    page.goto(f"{address}/Leaks?run={OTHER}")
    is_well(page)
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_text("Outline of the mask").click()
    until_address(page, outline="false")
    sidebar.get_by_text("Thresholds", exact=True).click()
    # The heat's controls act in the browser alone: the server hears of them with the thresholds, which come last.
    for name, key, field in (
        ("Opacity", "ArrowLeft", "opacity"),
        ("Heat threshold", "ArrowRight", "threshold"),
        ("False discovery rate, at most", "ArrowRight", "false_rate"),
        ("Attention threshold", "ArrowLeft", "attention"),
        ("Reliance threshold", "ArrowLeft", "reliance"),
    ):
        sidebar.get_by_role("slider", name=re.compile(f"^{name}")).focus()
        page.keyboard.press(key)
        page.wait_for_url(re.compile(rf"{field}="))
        settled(page)
    until_address(
        page,
        run=OTHER,
        attention="0.95",
        reliance="0.2",
        false_rate="0.06",
        opacity="0.55",
        threshold="0.05",
        outline="false",
    )
    for name in PAGES:
        follow(page, name)
        until_address(page, run=OTHER)
        if name not in ("Dataset", "Model"):
            until_address(page, attention="0.95", reliance="0.2", false_rate="0.06")
        if name in ("Top losses", "Heatmaps", "Leaks", "Patterns", "Compare"):
            until_address(page, opacity="0.55", threshold="0.05", outline="false")
    page.reload()
    is_well(page)
    page.go_back()
    page.get_by_role("heading", name=PAGES[-2], exact=True, level=1).wait_for()
    is_well(page)
    assert until_address(page, run=OTHER, attention="0.95", reliance="0.2", false_rate="0.06")


def test_the_overview_has_an_address_of_its_name_and_one_entry(page: Any, address: str) -> None:  # noqa: F811
    page.goto(f"{address}/Overview?run={OTHER}")
    page.get_by_role("heading", name="Overview", exact=True, level=1).wait_for()
    is_well(page)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    expect(page.get_by_test_id("stSidebar").get_by_role("link", name="Overview", exact=True)).to_have_count(1)
    follow(page, "Leaks")
    follow(page, "Overview")
    assert urlsplit(page.url).path == "/", "the menu leads to the first page"


def first_card(page: Any) -> None:  # noqa: F811
    page.locator(".card").nth(1).focus()
    page.keyboard.press("Enter")


def card_of_the_map(page: Any) -> None:  # noqa: F811
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    draw_a_box(page, box_select(page, plot), (0.1, 0.1), (0.9, 0.9))
    until_selected(page, "map_region")
    first_card(page)


Box = dict[str, float]
Share = tuple[float, float]


def spot(at: Box, share: Share) -> tuple[float, float]:
    return at["x"] + share[0] * at["width"], at["y"] + share[1] * at["height"]


def draw_a_box(page: Any, at: Box, start: Share, end: Share) -> None:  # noqa: F811
    page.mouse.move(*spot(at, start))
    page.mouse.down()
    page.mouse.move(*spot(at, end), steps=8)
    page.mouse.up()


def point_at(page: Any, what: Any, share: Share) -> None:  # noqa: F811
    """Click in a chart, which takes a click only where it has seen the pointer come."""
    what.scroll_into_view_if_needed()
    x, y = spot(what.bounding_box(), share)
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y, steps=4)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)


def until_selected(page: Any, field: str) -> None:  # noqa: F811
    page.wait_for_url(re.compile(f"{field}="))
    settled(page)
    page.locator(".card").first.wait_for()


@pytest.mark.parametrize(
    ("where", "more", "open_one"),
    [
        ("Leaks", "leaks_order=name&leaks_label=beluga&leaks_assessment=", first_card),
        ("Top_losses", "losses_size=48&losses_page=2&losses_right=right", first_card),
        ("Model", "model_tab=Audit", first_card),
        ("Dataset", "dataset_tab=Images&dataset_sample=3", first_card),
        ("Patterns", "map_way=PCA&map_colour=Fold", card_of_the_map),
        ("Patterns", "patterns_tab=Strategies&strategy_label=fin_whale", first_card),
    ],
)
def test_an_image_opens_from_every_gallery_and_back_leads_to_it(
    page: Any,  # noqa: F811
    address: str,
    where: str,
    more: str,
    open_one: Callable[[Any], None],
) -> None:
    page.goto(f"{address}/{where}?{MOVED}&{more}")
    is_well(page)
    page.locator(".card" if open_one is first_card else ".js-plotly-plot").first.wait_for()
    settled(page)
    open_one(page)
    page.wait_for_url(re.compile("/Heatmaps"))
    is_well(page)
    page.wait_for_url(re.compile("image="))
    until_address(page, **dict(parse_qsl(MOVED)))
    image = parameters(page)["image"]
    expect(page.get_by_role("textbox", name="File name")).to_have_value(image[0])
    page.reload()
    is_well(page)
    assert parameters(page)["image"] == image
    page.go_back()
    page.wait_for_url(re.compile(f"/{where}"))
    is_well(page)
    until_address(page, run=OTHER)
    back = parameters(page)
    for name, value in parse_qsl(more, keep_blank_values=True):
        if name not in ("model_tab", "map_way"):
            assert value in back.get(name, []), (name, page.url)


def test_a_species_and_a_cell_of_the_confusion_open_their_images(page: Any, address: str) -> None:  # noqa: F811
    page.goto(f"{address}/?{MOVED}")
    is_well(page)
    dot = page.locator(".js-plotly-plot", has_text="beluga").last.locator(".scatterlayer .point").last  # the most
    dot.wait_for()
    settled(page)
    point_at(page, dot, (0.5, 0.5))
    page.wait_for_url(re.compile("/Leaks.*leaks_label="))
    is_well(page)
    until_address(page, run=OTHER, attention="0.9", reliance="0.2", false_rate="0.1")
    shown = counted(page)
    page.reload()
    is_well(page)
    until(page, lambda: counted(page) == shown)
    page.goto(f"{address}/Model?{MOVED}")
    is_well(page)
    plot = page.locator(".js-plotly-plot .nsewdrag").last
    plot.wait_for()
    settled(page)
    point_at(page, plot, (0.05, 0.05))
    page.get_by_role("button", name=re.compile("predicted as")).click()
    page.wait_for_url(re.compile("/Top_losses.*losses_predicted="))
    is_well(page)
    assert until_address(page, run=OTHER)
    page.go_back()
    page.wait_for_url(re.compile("/Model"))
    is_well(page)


def test_a_threshold_moved_there_and_back_leaves_the_list_as_it_was(page: Any, address: str) -> None:  # noqa: F811
    page.goto(f"{address}/Leaks?run={OTHER}")
    is_well(page)
    page.locator(".card").first.wait_for()
    shown = counted(page)
    page.get_by_text("Thresholds", exact=True).click()
    for key, value in (("ArrowRight", "1.05"), ("ArrowLeft", None)):
        page.get_by_role("slider", name="Attention threshold").focus()
        page.keyboard.press(key)
        until_address(page, attention=value)
        settled(page)
    until(page, lambda: counted(page) == shown)
    for word in ("Suspect", "Confirmed leak", "Hidden reliance"):
        expect(page.get_by_role("checkbox", name=word)).to_be_checked()
    choose_species(page, "fin_whale")
    narrowed = counted(page)
    assert int(narrowed.split()[0]) < int(shown.split()[0])
    page.get_by_role("button", name="Sign all shown by this filter").click()
    page.get_by_text(re.compile(rf"^{narrowed} shown by this filter")).wait_for()
    page.keyboard.press("Escape")
    link = page.context.new_page()
    link.goto(page.url)
    is_well(link)
    until(link, lambda: counted(link) == narrowed)
    link.close()
    page.locator(".card").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/Heatmaps"))
    is_well(page)
    page.get_by_text(f"1 of {narrowed.split()[0]}", exact=True).wait_for()
    page.go_back()
    page.wait_for_url(re.compile("/Leaks"))
    is_well(page)
    until(page, lambda: counted(page) == narrowed)


def choose_species(page: Any, name: str) -> None:  # noqa: F811
    page.get_by_role("checkbox", name=name).check()
    page.wait_for_url(re.compile(f"leaks_label={name}"))
    settled(page)


def test_a_selection_in_the_chart_is_counted_linked_and_cleared(page: Any, address: str) -> None:  # noqa: F811
    page.goto(f"{address}/Leaks?run={OTHER}")
    is_well(page)
    page.locator(".card").first.wait_for()
    shown = counted(page)
    page.get_by_text("Charts", exact=True).click()
    plot = page.locator(".js-plotly-plot .nsewdrag").last
    plot.wait_for()
    settled(page)
    draw_a_box(page, box_select(page, plot), (0.05, 0.5), (0.95, 0.98))
    until_selected(page, "leaks_region")
    selected = counted(page)
    assert selected != shown
    page.get_by_text("Thresholds", exact=True).click()
    page.get_by_role("slider", name="Attention threshold").focus()
    page.keyboard.press("ArrowRight")
    until_address(page, attention="1.05")
    settled(page)
    until(page, lambda: counted(page) == selected)
    page.reload()
    is_well(page)
    page.locator(".card").first.wait_for()
    until(page, lambda: counted(page) == selected)
    page.get_by_role("button", name="Clear the selection").click()
    until_address(page, leaks_region=None)
    settled(page)
    page.get_by_text("Selected in the chart").wait_for(state="detached")
