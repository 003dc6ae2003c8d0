"""A timestamp that half of one species' images carry: from Overview to the exported list of those that rely on it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.commandline import process
from tests.conftest import ROOT
from tests.journeys.conftest import expect, serving, settled
from whalecam.demo import CARRIER, write_demo

pytestmark = [pytest.mark.journey, pytest.mark.slow]
IMAGES, MINUTES = 360, 10
"""Of the set; that the cue test may take at most, on any machine."""


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: `pictures/` with the timestamps, `without/` the same images without, `runs/stamped` audited."""
    folder = tmp_path_factory.mktemp("cues")
    run = folder / "runs" / "stamped"
    done = process("demo", folder / "pictures", "--images", IMAGES, "--cue", "timestamp", "--run", run)
    assert done.returncode == 0, done.stderr
    write_demo(folder / "without", IMAGES, leaking=False)
    return folder


@pytest.fixture
def address(stamped: Path) -> Iterator[str]:
    with serving(ROOT / "dashboard.py", WHALECAM_RUNS=str(stamped / "runs")) as url:
        yield url


def carriers(folder: Path) -> set[str]:
    """The images that differ from their counterparts."""
    pictures = {path.name: path.read_bytes() for path in (folder / "pictures" / "images").iterdir()}
    return {name for name, content in pictures.items() if content != (folder / "without/images" / name).read_bytes()}


def test_a_planted_timestamp_is_found_proven_and_exported(
    visitor: Callable[[], Any], address: str, stamped: Path
) -> None:
    page = visitor()
    page.goto(address)
    settled(page).get_by_role("link", name="Patterns").first.click()
    settled(page).get_by_role("tab", name="Cues").click()
    settled(page).get_by_role("button", name="Test for cues").click()
    found = page.get_by_text(re.compile(rf"^{CARRIER}: A mark, lower (right|middle)"))
    found.wait_for(timeout=MINUTES * 60_000)
    proven = re.compile(r"erasing it costs 0\.[2-9]\d of probability \(placebo 0\.0\d; p\s0\.0")
    expect(page.locator("p").filter(has=found)).to_contain_text(proven)
    page.reload()
    settled(page).get_by_text(re.compile(r"images of \d predicted")).wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the cue list").click()
    rows = pd.read_csv(waiting.value.path())
    marked = rows[(rows["predicted"] == CARRIER) & rows["title"].str.startswith("a mark, lower")]
    carrying = carriers(stamped)
    assert len(marked) >= 8 and marked["image"].isin(carrying).mean() >= 0.9
    assert set(rows["run"]) == {"stamped"} and marked["p_value"].max() < 0.05
    page.goto(f"{address}/Heatmaps?run=stamped&image={marked['image'].iloc[0]}")
    settled(page).get_by_text("it relies on a mark, lower").first.wait_for()
