"""Reviewing by keyboard, and two people at once, in a real browser on a real server."""

import itertools
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.conftest import ROOT
from tests.journeys.conftest import serving
from tests.journeys.test_journeys import settled, sign_in
from whalecam.reviews import Journal, Review
from whalecam.reviews.messages import DONE
from whalecam.run import open_run

pytestmark = [pytest.mark.journey, pytest.mark.flaky(reruns=2)]
PICTURES = 30
VERDICTS = {"f": "flag", "k": "keep", "u": "unsure"}


@pytest.fixture
def place(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture
def address(place: Path) -> Iterator[str]:
    with serving(ROOT / "dashboard.py", place / "log.txt", WHALECAM_RUNS=str(place / "runs")) as url:
        yield url


@pytest.fixture
def journal(place: Path) -> Journal:
    return Journal(open_run(place / "runs" / "demo").reviews_url)


@pytest.fixture
def visitor(browser: Any) -> Iterator[Callable[[], Any]]:
    """A further person, with a browser profile of their own."""
    contexts = []

    def come() -> Any:
        contexts.append(browser.new_context(viewport={"width": 1440, "height": 900}))
        contexts[-1].set_default_timeout(30_000)
        return contexts[-1].new_page()

    yield come
    for context in contexts:
        context.close()


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


def seconds_until(page: Any, true: Callable[[], bool], patience: float = 20) -> float:
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < patience, "it did not come true in time"
        page.wait_for_timeout(5)
    return time.monotonic() - start


def name_of(page: Any) -> str:
    return str(page.get_by_role("textbox", name="File name").input_value())


def test_two_people_at_once_see_each_others_verdicts(
    address: str, visitor: Callable[[], Any], journal: Journal, place: Path
) -> None:
    ana, ben = visitor(), visitor()
    runs = Runs(ana)
    image = sorted(open_run(place / "runs" / "demo").audited())[5]
    for page, name in ((ana, "Ana"), (ben, "Ben")):
        page.goto(f"{address}/Heatmaps?run=demo&image={image}")
        sign_in(settled(page), name)
        page.locator("canvas.heat").first.wait_for()
    for page, key in ((ana, "f"), (ben, "k")):
        page.locator("h1").click()
        page.keyboard.press(key)
        seconds_until(page, lambda wanted=key: VERDICTS[wanted] in journal.history(image)["verdict"].tolist())
    ben.goto(f"{address}/Leaks?run=demo&leaks_order=name&leaks_size=96")
    settled(ben)
    reviewed = ben.locator('[data-testid="stMetric"]', has_text="Flagged")
    assert reviewed.inner_text().split()[-1] == "0", "Ben kept it, and his verdict is the newer one"
    ana.locator("h1").click()
    ana.wait_for_timeout(4000)
    whole = runs.whole
    ana.keyboard.press("f")
    waited = seconds_until(ben, lambda: reviewed.inner_text().split()[-1] == "1")
    print(f"Ben saw Ana's verdict after {waited:.1f} s")
    ana.wait_for_timeout(2500)
    assert runs.whole == whole, "one's own verdict is no news"
    ben.get_by_text("Calibration and agreement").click()
    ben.get_by_text("pictures on which they disagree").wait_for()
    journal.add([Review(image, "unsure", "Cleo")])
    seconds_until(ana, lambda: runs.whole == whole + 1)


def test_the_gallery_is_judged_and_opened_without_a_run_of_the_whole_page(
    address: str, visitor: Callable[[], Any], journal: Journal
) -> None:
    page = visitor()
    runs = Runs(page)
    page.goto(f"{address}/Leaks?run=demo")
    sign_in(settled(page), "Ana")
    page.locator(".card").first.focus()
    page.wait_for_timeout(2500)
    whole, taken = runs.whole, []
    for number in range(6):
        page.keyboard.press("f")
        taken.append(seconds_until(page, lambda wanted=number: len(journal.latest()) > wanted))
        page.wait_for_timeout(300)
    page.keyboard.press("z")
    seconds_until(page, lambda: len(journal.latest()) == 5)
    page.keyboard.press("y")
    seconds_until(page, lambda: len(journal.latest()) == 6)
    flagged = page.locator('[data-testid="stMetric"]', has_text="Flagged")
    seconds_until(page, lambda: flagged.inner_text().split()[-1] == "6")
    print(f"median seconds per verdict in the gallery: {statistics.median(taken):.2f}")
    assert runs.whole == whole
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("Heatmaps"))
    settled(page)
    seconds_until(page, lambda: name_of(page) in set(journal.latest()["image"]))


def test_thirty_pictures_by_keyboard_without_a_run_of_the_whole_page_per_verdict(
    address: str, visitor: Callable[[], Any], journal: Journal
) -> None:
    page = visitor()
    runs = Runs(page)
    page.goto(f"{address}/Heatmaps?run=demo&image_order=name")
    sign_in(settled(page), "Ana")
    page.locator("canvas.heat").first.wait_for()
    page.locator("h1").click()
    page.wait_for_timeout(1000)
    verdicts, moves, wanted, whole = [], [], {}, 0
    for key, _ in zip(itertools.cycle(VERDICTS), range(PICTURES), strict=False):
        image, entries, before = name_of(page), journal.version(), runs.whole
        page.keyboard.press(key)
        verdicts.append(seconds_until(page, lambda known=entries: journal.version() > known))
        page.get_by_text(f"{DONE[VERDICTS[key]]} {image}").last.wait_for()
        wanted[image], whole = VERDICTS[key], whole + runs.whole - before
        page.keyboard.press("n")
        moves.append(seconds_until(page, lambda known=image: name_of(page) != known))
        settled(page)
    latest = journal.latest()
    assert dict(zip(latest["image"], latest["verdict"], strict=True)) == wanted
    assert len(wanted) == PICTURES
    print(f"median seconds per key: verdict {statistics.median(verdicts):.2f}, next {statistics.median(moves):.2f};")
    print(f"{whole} runs of the whole page for {PICTURES} verdicts")
    assert whole == 0
    assert statistics.median(verdicts) + statistics.median(moves) < 2
