"""Reviewing by keyboard, and two people at once, in a real browser on a real server."""

import itertools
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
from whalecam.reviews import Journal
from whalecam.run import open_run

pytestmark = pytest.mark.journey
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
        page.get_by_text(f"{VERDICTS[key]}: 1 picture").last.wait_for()
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
