"""From a leak to a better network, in a real browser, by the buttons and links that the pages offer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.copies import copied
from tests.journeys.conftest import expect, profile, serving, settled
from tests.pages.test_mending import write_simulation
from whalecam.analysis.compare import compare_runs
from whalecam.analysis.compare.sentence import leaks_sentence, sentence
from whalecam.demo import PLANTED
from whalecam.store.run import open_run

pytestmark = pytest.mark.journey
LONG = 1_500_000


def walked(page: Any, button: str = "Train again with shuffle", made: str = "demo-shuffle") -> None:
    """From the advice on the Overview to the comparison, by the button and the link that the pages offer."""
    page.get_by_role("button", name=button).click()
    page.get_by_text("left in this step").wait_for(timeout=LONG)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.get_by_role("link", name=f"Compare demo with {made}").click(timeout=LONG)
    page.get_by_role("heading", name="Compare").wait_for()
    page.get_by_text("Images that changed").wait_for()
    page.get_by_text("evidence for").nth(1).wait_for()
    settled(page)


def shown(page: Any) -> str:
    return str(page.locator("main, [data-testid=stMain]").first.inner_text())


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = profile(browser)
    yield context.new_page()
    context.close()


def test_the_advice_leads_to_a_training_and_its_comparison(page: Any, prepared: Path, tmp_path: Path) -> None:
    """On a small set that promises no gain: the way, and that the page says what the library finds."""
    runs = tmp_path / "runs"
    copied(prepared / "runs", runs)
    unseen = sorted(open_run(runs / "demo").audited() - open_run(runs / "demo").training_images())
    write_simulation(runs / "demo", [0.0, -0.1, 0.1], dict.fromkeys(unseen, 0.0))
    with serving(ROOT / "dashboard.py", WHALECAM_RUNS=str(runs)) as url:
        page.goto(url)
        page.get_by_text("The evidence supports shuffle").wait_for()
        walked(page)
        said = shown(page)
    found = compare_runs([open_run(runs / name) for name in ("demo", "demo-shuffle")])
    assert leaks_sentence(found, "demo-shuffle") in said and sentence(found, "demo-shuffle") in said
    better, worse = (found.changed("demo-shuffle", kind) for kind in ("got_better", "got_worse"))
    assert f"{len(better)} got better" in said and worse[0] in said


def test_the_last_layer_is_fitted_again_from_the_advice_on(page: Any, prepared: Path, tmp_path: Path) -> None:
    """By buttons and links alone: no training, the leaks are gone, and the comparison says what the library finds."""
    runs = tmp_path / "runs"
    copied(prepared / "runs", runs)
    unseen = sorted(open_run(runs / "demo").audited() - open_run(runs / "demo").training_images())
    write_simulation(runs / "demo", [0.4, 0.3, 0.5], dict.fromkeys(unseen, 0.0), "head")
    with serving(ROOT / "dashboard.py", WHALECAM_RUNS=str(runs)) as url:
        page.goto(url)
        page.get_by_text("The evidence supports head").wait_for()
        walked(page, "Fit the last layer again", "demo-head")
        said = shown(page)
    runs_compared = [open_run(runs / name) for name in ("demo", "demo-head")]
    found = compare_runs(runs_compared)
    before, after = (run.load_checkpoint() for run in runs_compared)
    assert {name.partition(".")[0] for name in before if (before[name] != after[name]).any()} == {"head"}
    assert leaks_sentence(found, "demo-head") in said and sentence(found, "demo-head") in said
    fate = found.leaks["demo-head"]
    assert fate.state == "gone" and fate.before > 10 and "The confirmed leaks are gone: " in said


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_leak_found_last_layer_fitted_again_and_gone(page: Any, tmp_path: Path) -> None:
    """The demo as it comes, from the first start of the dashboard on."""
    with serving(ROOT / "dashboard.py", WHALECAM_RUNS=str(tmp_path), WHALECAM_DEMO_IMAGES="360") as url:
        page.goto(url)
        page.get_by_role("heading", name="Overview").wait_for(timeout=LONG)
        page.get_by_text("confirmed leaks: the network looks at the water").wait_for()
        assert all(name in shown(page) for name in PLANTED), "both planted species stand out"
        page.get_by_role("button", name="Simulate the remedies").click()
        page.get_by_text("The evidence supports head").wait_for(timeout=LONG)
        walked(page, "Fit the last layer again", "demo-head")
        said = shown(page)
    found = compare_runs([open_run(tmp_path / name) for name in ("demo", "demo-head")])
    told = {one.metric: one for one in found.differences["demo-head"]}
    assert found.leaks["demo-head"].state == "gone" and "The confirmed leaks are gone: " in said
    assert told["swapped_accuracy"].difference >= 0
    assert (
        "Accuracy on swapped backgrounds is better: " in said
        or "Accuracy on swapped backgrounds is equal within chance" in said
    )
