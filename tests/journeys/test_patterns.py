"""The Patterns page in a real browser: a box over the map becomes a gallery, and a tab survives a reload."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Dashboard, box_select, expect, settled, until

pytestmark = pytest.mark.journey


@pytest.fixture
def page(visitor: Callable[[], Any], dashboard: Dashboard, prepared: Path) -> Any:
    """The Patterns page of a run of its own."""
    page = visitor()
    page.goto(f"{dashboard.address}/Patterns?run={dashboard.copy(prepared / 'runs' / 'demo').name}")
    return settled(page)


def test_a_box_over_the_map_narrows_the_images_beside_it(page: Any) -> None:
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.wait_for()
    counted = page.get_by_text(re.compile(r"^[0-9]+ images$"))
    every = counted.inner_text()
    settled(page)
    at = box_select(page, plot)
    page.mouse.move(at["x"] + 4, at["y"] + 4)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2, steps=5)
    page.mouse.move(at["x"] + at["width"] - 4, at["y"] + at["height"] - 4, steps=5)
    page.mouse.up()
    page.get_by_text("Selected in the chart:").wait_for()
    until(page, lambda: int(counted.inner_text().split()[0]) < int(every.split()[0]))
    expect(page.get_by_role("button", name="Flag").first).to_be_visible()
    assert until(page, lambda: "map_region=" in page.url), "the selection stands in the address"


def test_a_tab_survives_a_reload(page: Any) -> None:
    page.get_by_role("tab", name="Attention atlas").click()
    page.get_by_text("so that the animals' boxes").wait_for()
    assert until(page, lambda: "patterns_tab=" in page.url), "the tab stands in the address"
    page.reload()
    settled(page)
    page.get_by_text("so that the animals' boxes").wait_for()
    expect(page.get_by_role("tab", name="Attention atlas")).to_have_attribute("aria-selected", "true")
