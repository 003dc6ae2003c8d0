"""From a leak to a better network, in a real browser: two ready runs, and the whole way by the four commands."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.commandline import process as whalecam
from tests.conftest import ROOT
from tests.journeys.conftest import serving
from tests.journeys.test_journeys import settled
from whalecam.compare import compare_runs
from whalecam.run import open_run

pytestmark = [pytest.mark.journey, pytest.mark.flaky(reruns=2)]


def look(browser: Any, runs: Path, before: str, after: str) -> str:
    """What the Compare page says of two runs."""
    with serving(ROOT / "dashboard.py", WHALECAM_RUNS=str(runs)) as url:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(f"{url}/Compare?compared={before}&compared={after}&change=Got+better")
        settled(page)
        page.get_by_text("Pictures that changed").wait_for()
        page.get_by_text("evidence for").nth(1).wait_for()
        said = str(page.locator("main, [data-testid=stMain]").first.inner_text())
        page.close()
    return said


def test_two_ready_runs_are_compared_from_a_link(browser: Any, prepared: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(prepared / "runs", runs)
    shutil.copytree(runs / "demo", runs / "mended")
    run = open_run(runs / "mended")
    rows: list[dict[str, Any]] = [row for part in run.parts() for row in pq.read_table(part).to_pylist()]
    before = sum((row["needs"] or 0) >= 0.25 for row in rows)
    run.clear_audit()
    run.write_part([row | {"needs": None if row["needs"] is None else 0.0} for row in rows])
    assert before, "the demo has no leak to lose"
    said = look(browser, runs, "demo", "mended")
    better = compare_runs([open_run(runs / "demo"), run]).changed("mended", "got_better")
    assert f"Got better · {len(better)}" in said and better[0] in said
    assert "demo ·" in said and "mended ·" in said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_leak_found_remedied_retrained_and_gone(browser: Any, tmp_path: Path) -> None:
    pictures, runs, mended = tmp_path / "pictures", tmp_path / "runs", tmp_path / "mended"
    common = ("--arch", "efficientnet_lite0_fine", "--epochs", 6, "--lr", "1e-2", "--size", 96, "--batch", 16)
    common = (*common, "--folds", 2)

    def did(*words: object) -> None:
        done = whalecam(*words)
        assert done.returncode == 0, done.stderr[-500:]

    did("demo", pictures, "--images", 240)
    did("train", pictures / "train.csv", pictures / "images", "--run", runs / "before", *common)
    did("audit", runs / "before", "--masks", pictures / "masks")
    did("export-dataset", runs / "before", "--remedy", "crop", "--out", mended)
    did("train", mended / "train.csv", mended / "images", "--run", runs / "after", *common)
    did("audit", runs / "after", "--masks", mended / "masks", "--fail-if", "confirmed_leak>0.05")
    found = compare_runs([open_run(runs / "before"), open_run(runs / "after")])
    told = {one.metric: one for one in found.differences["after"]}
    assert told["confirmed_leak"].verdict == "better" and told["confirmed_leak"].after <= 0.05
    assert told["unseen_water_accuracy"].difference >= 0
    said = look(browser, runs, "before", "after")
    assert "after is better than before" in said and "confirmed leak" in said
