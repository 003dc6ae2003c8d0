"""What axe-core finds on every page, and the way from the Overview to the CSV by keyboard alone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.journeys.conftest import Dashboard, settled, until
from whalecam.store.reviews import Journal
from whalecam.store.run import open_run

pytestmark = pytest.mark.journey
GROUPS = {
    "what there is": ("", "Dataset", "Model"),
    "images": ("Top_losses", "Heatmaps", "Leaks"),
    "what comes of it": ("Patterns", "Export", "Compare"),
}
SCREENS = (("light", 1440, 900), ("light", 720, 450), ("dark", 390, 844), ("dark", 1440, 900))
"""Theme, width and height; 720 px is 1440 px at a zoom of 200 %. The first of each theme are looked at in every run."""
FIRST = (SCREENS[0], SCREENS[2])
UNFADED = ".stElementContainer { opacity: 1 !important; transition: none !important }"
"""While a part of a page runs again, Streamlit fades what it will replace; on a busy machine, as long as axe reads."""
SEVERE = ("serious", "critical")
STREAMLITS: tuple[tuple[str, str, str], ...] = ()
"""What lies in Streamlit's own markup: rule, a part of the selector, why it stays."""


def severe_in(page: Any) -> list[str]:
    """The serious and critical violations of a page: rule, selector, and what axe-core says."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{violation['id']} {node['target']} {node['html'][:160]} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in SEVERE
        for node in violation["nodes"]
        if not is_streamlits(violation["id"], f"{node['target']} {node['html']}")
    ]


def is_streamlits(rule: str, place: str) -> bool:
    return any(rule == known and re.search(part, place) for known, part, _ in STREAMLITS)


@pytest.mark.parametrize("screens", [FIRST, pytest.param(SCREENS, marks=pytest.mark.slow)], ids=["two", "all"])
@pytest.mark.parametrize("group", GROUPS)
def test_axe_finds_nothing_serious(
    visitor: Callable[[], Any],
    dashboard: Dashboard,
    prepared: Path,
    group: str,
    screens: tuple[tuple[str, int, int], ...],
) -> None:
    run, page = dashboard.copy(prepared / "runs" / "demo"), visitor()
    faults = list[str]()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for name in GROUPS[group]:
            sizes = [(width, height) for theme, width, height in screens if theme == scheme]
            page.set_viewport_size({"width": sizes[0][0], "height": sizes[0][1]})
            page.goto(f"{dashboard.address}/{name}?run={run.name}")
            for width, height in sizes:
                page.set_viewport_size({"width": width, "height": height})
                settled(page).add_style_tag(content=UNFADED)
                faults += [f"{name or 'Overview'}, {scheme}, {width} px: {fault}" for fault in severe_in(page)]
    assert not faults, "\n".join(faults)


def test_a_violation_is_seen_and_only_what_is_named_is_excused(visitor: Callable[[], Any]) -> None:
    page = visitor()
    page.set_content('<html lang="en"><title>x</title><main><h1>x</h1><input><img src="x"></main></html>')
    assert sorted(fault.split()[0] for fault in severe_in(page)) == ["image-alt", "label"]
    assert all(rule and part and why for rule, part, why in STREAMLITS)


def tab_to(page: Any, target: Any, key: str = "Tab") -> None:
    """Press a key until the element has the focus, which a keyboard must reach."""
    target.first.wait_for()
    for _ in range(150):
        if target.first.evaluate("element => element === element.getRootNode().activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{target} is not reached by {key}")


def test_from_the_overview_to_the_csv_by_keyboard(
    visitor: Callable[[], Any], dashboard: Dashboard, prepared: Path
) -> None:
    run, page = dashboard.copy(prepared / "runs" / "demo"), visitor()
    page.goto(f"{dashboard.address}/?run={run.name}")
    tab_to(settled(page), page.get_by_role("textbox", name="Reviewer"))
    page.keyboard.type("Ana")
    page.keyboard.press("Enter")
    tab_to(settled(page), page.get_by_role("link", name=re.compile("Review the .* suspects")))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Leaks", level=1).wait_for()
    tab_to(settled(page), page.get_by_role("option").first)
    page.keyboard.press("f")
    journal = Journal.of(open_run(run))
    until(page, lambda: len(journal.latest()) == 1)
    tab_to(settled(page), page.get_by_role("link", name="Export", exact=True), "Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Export", level=1).wait_for()
    tab_to(settled(page), page.get_by_role("button", name="Download the CSV"))
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    rows = pd.read_csv(download.value.path(), dtype=str)
    signed = journal.latest()[["image", "verdict", "reviewer"]].to_numpy().tolist()
    assert rows[["image", "verdict", "reviewer"]].to_numpy().tolist() == signed == [[signed[0][0], "flag", "Ana"]]
