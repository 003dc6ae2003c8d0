"""Reviewing by keyboard, and two people at once, in a real browser on a real server."""

import itertools
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.journeys.conftest import Dashboard, expect, settled, sign_in, until
from whalecam.store.reviews import Journal, Review
from whalecam.store.reviews.messages import DONE
from whalecam.store.run import Run, open_run

pytestmark = pytest.mark.journey
PICTURES = 9
VERDICTS = {"f": "flag", "k": "keep", "u": "unsure"}


@pytest.fixture
def run(dashboard: Dashboard, prepared: Path) -> Run:
    """A run of this test's own on the server that all journeys share."""
    return open_run(dashboard.copy(prepared / "runs" / "demo"))


@pytest.fixture
def journal(run: Run) -> Journal:
    return Journal(run.reviews_url)


class Runs:
    """Counts the runs that reached their end: of the whole page, and of a fragment alone."""

    def __init__(self, page: Any) -> None:
        self.whole = self.fragments = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._note))

    def _note(self, frame: Any) -> None:
        message = ForwardMsg.FromString(frame) if isinstance(frame, bytes) else None
        if message is not None and message.WhichOneof("type") == "script_finished":
            self.whole += message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
            self.fragments += message.script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


def name_of(page: Any) -> str:
    return str(page.get_by_role("textbox", name="File name").input_value())


def test_two_people_at_once_see_each_others_verdicts(
    dashboard: Dashboard, visitor: Callable[[], Any], journal: Journal, run: Run
) -> None:
    ana, ben = visitor(), visitor()
    runs = Runs(ana)
    image = sorted(run.audited())[5]
    for page, name in ((ana, "Ana"), (ben, "Ben")):
        page.goto(f"{dashboard.address}/Heatmaps?run={run.name}&image={image}")
        sign_in(settled(page), name)
        page.locator("canvas.heat").first.wait_for()
    for page, key in ((ana, "f"), (ben, "k")):
        page.locator("h1").click()
        page.keyboard.press(key)
        until(page, partial(lambda wanted: VERDICTS[wanted] in journal.history(image)["verdict"].tolist(), key))
    ben.goto(f"{dashboard.address}/Leaks?run={run.name}&leaks_order=name&leaks_size=96")
    settled(ben)
    reviewed = ben.locator('[data-testid="stMetric"]', has_text="Flagged")
    expect(reviewed.get_by_test_id("stMetricValue")).to_have_text("0")  # Ben kept it, and his verdict is the newer one
    ana.locator("h1").click()
    ana.wait_for_timeout(4000)
    whole = runs.whole
    ana.keyboard.press("f")
    until(ben, lambda: reviewed.inner_text().split()[-1] == "1")
    ana.wait_for_timeout(2500)
    assert runs.whole == whole, "one's own verdict is no news"
    ben.get_by_text("Calibration and agreement").click()
    ben.get_by_text("images on which they disagree").wait_for()
    journal.add([Review(image, "unsure", "Cleo")])
    until(ana, lambda: runs.whole == whole + 1)


def test_the_gallery_is_judged_and_opened_without_a_run_of_the_whole_page(
    dashboard: Dashboard, visitor: Callable[[], Any], journal: Journal, run: Run
) -> None:
    page = visitor()
    runs = Runs(page)
    page.goto(f"{dashboard.address}/Leaks?run={run.name}")
    sign_in(settled(page), "Ana")
    page.locator(".card").first.focus()
    page.wait_for_timeout(2500)
    whole = runs.whole
    for number in range(6):
        page.keyboard.press("f")
        until(page, partial(lambda wanted: len(journal.latest()) > wanted, number))
        settled(page)
    page.keyboard.press("z")
    until(page, lambda: len(journal.latest()) == 5)
    page.keyboard.press("y")
    until(page, lambda: len(journal.latest()) == 6)
    flagged = page.locator('[data-testid="stMetric"]', has_text="Flagged")
    until(page, lambda: flagged.inner_text().split()[-1] == "6")
    assert runs.whole == whole
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("Heatmaps"))
    settled(page)
    until(page, lambda: name_of(page) in set(journal.latest()["image"]))


def test_pictures_by_keyboard_without_a_run_of_the_whole_page_per_verdict(
    dashboard: Dashboard, visitor: Callable[[], Any], journal: Journal, run: Run
) -> None:
    page = visitor()
    runs = Runs(page)
    page.goto(f"{dashboard.address}/Heatmaps?run={run.name}&image_order=name")
    sign_in(settled(page), "Ana")
    page.locator("canvas.heat").first.wait_for()
    page.locator("h1").click()
    page.wait_for_timeout(1000)
    wanted, whole = {}, 0
    for key, _ in zip(itertools.cycle(VERDICTS), range(PICTURES), strict=False):
        image, entries, before = name_of(page), journal.version(), runs.whole
        page.keyboard.press(key)
        until(page, partial(lambda known: journal.version() > known, entries))
        page.get_by_text(f"{DONE[VERDICTS[key]]} {image}").last.wait_for()
        wanted[image], whole = VERDICTS[key], whole + runs.whole - before
        page.keyboard.press("n")
        until(page, partial(lambda known: name_of(page) != known, image))
        settled(page)
    latest = journal.latest()
    assert dict(zip(latest["image"], latest["verdict"], strict=True)) == wanted
    assert len(wanted) == PICTURES
    assert whole == 0
