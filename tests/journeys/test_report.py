"""The report in a real browser that has no network."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.output.test_report import HOSTILE, data_of
from whalecam.output.report import write_report
from whalecam.store.reviews import Journal, Review
from whalecam.store.run import Run, open_run

pytestmark = pytest.mark.journey


@pytest.fixture
def run(runs: Path) -> Run:
    return open_run(runs / "demo")


@pytest.mark.parametrize("width", [1440, 390])
def test_it_opens_without_a_network_and_asks_for_nothing(
    run: Run,
    tmp_path: Path,
    browser: Any,
    width: int,
) -> None:
    Journal(run.reviews_url).add([Review(sorted(run.audited())[0], "flag", "Ana", note=HOSTILE)])
    out = write_report(run, data_of(run), tmp_path / "out" / "r.html")
    assert out.stat().st_size < 5_000_000
    shutil.rmtree(run.path)
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    context.set_default_timeout(120_000)
    page, asked, told = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.on("dialog", lambda dialog: told.append(dialog.message))
    page.goto(out.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [out.as_uri()]
    assert not told
    loaded = page.evaluate("[...document.images].map((image) => image.complete && image.naturalWidth > 50)")
    assert len(loaded) > 30 and all(loaded)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is wider than the screen"
    page.emulate_media(media="print")
    assert page.locator(".case").first.evaluate("(card) => getComputedStyle(card).breakInside") == "avoid"
    context.close()
