"""What a user does, in a real browser on a real server."""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.conftest import ROOT
from tests.copies import copied
from tests.journeys.conftest import LONG, expect, faults_of, profile, serving, settled, sign_in, until
from whalecam.analysis.findings.properties import kept
from whalecam.store.reviews import Dismissals, Journal
from whalecam.store.run import open_run

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def place(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journeys")
    copied(prepared / "runs", folder / "runs")
    return folder


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    with serving(ROOT / "dashboard.py", place / "log.txt", WHALECAM_RUNS=str(place / "runs")) as url:
        yield url
    assert faults_of(place / "log.txt") == []


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = profile(browser, accept_downloads=True)
    yield context.new_page()
    context.close()


def test_the_first_start_prepares_the_demo(browser: Any, page: Any, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with serving(ROOT / "dashboard.py", WHALECAM_RUNS=str(runs), WHALECAM_DEMO_IMAGES="96") as url:
        page.goto(url)
        page.get_by_text("Welcome to WhaleCAM").wait_for()
        page.get_by_role("progressbar").first.wait_for()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        page.get_by_text("left in this step").wait_for(timeout=LONG)
        page.get_by_role("link", name="Look at the images").click(timeout=LONG)
        page.get_by_role("heading", name="Dataset").wait_for()
        page.get_by_text("Preparing the demo").wait_for()
        page.get_by_text("Preparing the demo").wait_for(state="hidden", timeout=LONG)
        page.goto(url)
        page.get_by_role("heading", name="Overview").wait_for(timeout=LONG)
        page.get_by_text("assessable images").first.wait_for()
    assert len(open_run(runs / "demo").audited()) == 96


@pytest.mark.parametrize("path", ["", "Leaks?leaks_charts=true"])
def test_figures_are_drawn_before_what_draws_charts_is_asked_for(page: Any, address: str, path: str) -> None:
    page.add_init_script(
        """const look = () => {
            if (document.querySelector('[data-testid="stMetric"]')) window.drawn = performance.now()
            else requestAnimationFrame(look)
        }
        look()"""
    )
    page.goto(f"{address}/{path}")
    page.locator(".js-plotly-plot").first.wait_for()
    asked = page.evaluate(
        "() => performance.getEntriesByType('resource').find((e) => e.name.includes('PlotlyChart')).startTime"
    )
    assert 0 < page.evaluate("window.drawn") < asked
    expect(page.locator('[data-testid="stException"]')).to_have_count(0)


def test_own_data_becomes_the_chosen_run(page: Any, address: str, place: Path, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("00000.jpg", "00001.jpg", "00002.jpg"):
        shutil.copy(prepared / "pictures" / "images" / name, tmp_path / "images" / name)
    (tmp_path / "own.csv").write_text(
        "file;kind\n00000.jpg;orca\n00001.jpg;humpback\n00002.jpg;beluga\ngone.jpg;orca\n"
    )
    page.goto(f"{address}/Dataset")
    settled(page)
    page.get_by_text("Open your own data").click()
    page.get_by_role("textbox", name="Table, or folder of class folders").fill(str(tmp_path / "own.csv"))
    folder = page.get_by_role("textbox", name="Image folder")
    folder.fill(str(tmp_path / "images"))
    folder.press("Tab")  # or the click on the next field would read the folder, and draw that field anew under it
    for label, column in (("Image column", "file"), ("Label column", "kind")):
        settled(page).get_by_role("combobox", name=label).click()
        page.get_by_role("option", name=column, exact=True).click()
    name = settled(page).get_by_role("textbox", name="Name of the run")
    name.fill("mine")
    name.press("Tab")
    expect(settled(page).get_by_role("textbox", name="Name of the run")).to_have_value("mine")
    settled(page).locator(".st-key-own_open button").click()
    page.wait_for_url(re.compile("run=mine"), timeout=30_000)
    page.get_by_text("own.csv").first.wait_for()
    usable = page.locator('[data-testid="stMetric"]', has_text="Usable")
    expect(usable.get_by_test_id("stMetricValue")).to_have_text("3")
    page.get_by_text("Findings", exact=True).click()
    page.get_by_text("Missing file").first.wait_for()
    assert Path(open_run(place / "runs" / "mine").manifest.dataset.csv) == tmp_path / "own.csv"


def test_a_leak_is_found_flagged_undone_and_exported(page: Any, address: str, place: Path) -> None:
    page.goto(f"{address}/Leaks?run=demo")
    settled(page)
    sign_in(page, "Ana")
    cards = page.locator(".card")
    cards.nth(2).wait_for()
    shown = settled(page).locator(".card").count()
    journal = Journal(open_run(place / "runs" / "demo").reviews_url)
    for number in range(3):
        cards.nth(number).click()
        page.get_by_text(f"1 of {shown} selected").wait_for()
        page.keyboard.press("f")
        until(page, partial(lambda wanted: len(journal.latest()) == wanted, number + 1))
        page.get_by_text(f"0 of {shown} selected").wait_for()
    assert journal.latest()["image"].nunique() == 3
    page.get_by_role("button", name="Undo").first.click()
    until(page, lambda: len(journal.latest()) == 2)
    kept = sorted(journal.latest()["image"])
    page.goto(f"{address}/Export?run=demo")
    settled(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the CSV").click()
    frame = pd.read_csv(waiting.value.path(), dtype=str, keep_default_na=False)
    assert sorted(frame["image"]) == kept
    assert set(frame["verdict"]) == {"flag"} and set(frame["reviewer"]) == {"Ana"}
    assert "attention_score" in frame and frame["run"].tolist() == ["demo", "demo"]


def downloaded(page: Any, button: Any) -> pd.DataFrame:
    """The CSV behind a button."""
    settled(page)
    with page.expect_download() as waiting:
        button.click()
    return pd.read_csv(waiting.value.path())


def test_findings_are_read_opened_downloaded_and_set_aside(page: Any, address: str, place: Path) -> None:
    run = open_run(place / "runs" / "demo")
    page.goto(f"{address}/Dataset?run=demo&dataset_tab=Findings")
    settled(page)
    sign_in(page, "Ana")
    twins = page.locator(".stVerticalBlock", has_text="is spelt almost like").last
    twins.get_by_text("Affected rows").click()
    page.locator(".card img").first.wait_for()
    rows = downloaded(page, twins.get_by_role("button", name="Download these rows"))
    assert set(rows["label"]) == {"bottlenose_dolpin"} and set(rows["suggested_label"]) == {"bottlenose_dolphin"}
    merges = downloaded(page, page.get_by_role("button", name="Download the labels map"))
    assert merges.to_numpy().tolist() == [["bottlenose_dolpin", "bottlenose_dolphin"]]
    twins.get_by_role("button", name="Dismiss").click()
    page.get_by_role("textbox", name="Reason").fill("two species after all")
    page.get_by_role("button", name="Dismiss the finding").click()
    page.get_by_text("Dismissed by Ana").wait_for()
    dismissals = Dismissals(run.reviews_url, run.manifest.dataset.csv)
    assert dismissals.standing()["reason"].tolist() == ["two species after all"]
    page.reload()
    settled(page)
    page.get_by_text("Dismissed by Ana").wait_for()
    expect(page.get_by_role("textbox", name="Reviewer")).to_have_value("Ana")
    settled(page).get_by_role("button", name="Restore").click()
    until(page, lambda: dismissals.standing().empty)


def test_looking_at_every_picture_fills_the_findings(page: Any, address: str, place: Path) -> None:
    page.goto(f"{address}/Dataset?run=demo&dataset_tab=Findings")
    settled(page)
    page.get_by_role("button", name="Look at every image").click()
    page.get_by_text("119 of 119 images looked at").wait_for(timeout=LONG)
    page.get_by_text("Truncated: 1 of 121 rows").wait_for(timeout=LONG)
    expect(page.get_by_text("119 of 119 images looked at")).to_be_visible()
    assert len(kept(open_run(place / "runs" / "demo").properties)) == 119, "they are there after a restart too"


def test_class_and_opacity_and_only_the_class_asks_the_server(page: Any, address: str) -> None:
    sent: list[Any] = []

    def note(frame: Any) -> None:
        """What the page asks for by itself, every few seconds, is nobody's doing."""
        if not BackMsg.FromString(frame).rerun_script.is_auto_rerun:
            sent.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", note))
    page.goto(f"{address}/Heatmaps?run=demo")
    settled(page)
    canvas = page.locator("canvas.heat").first
    canvas.wait_for()
    settled(page).wait_for_timeout(1000)
    before, count = canvas.screenshot(), len(sent)
    slider = page.get_by_role("slider", name="Opacity")
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile("opacity="))
    until(page, lambda: canvas.screenshot() != before)
    assert len(sent) == count, "moving the opacity asked the server"
    faded = canvas.screenshot()
    page.get_by_label("Show the evidence for").click()
    page.get_by_role("option", name="A versus B").click()
    page.wait_for_url(re.compile("show="))
    settled(page)
    page.get_by_text("versus").first.wait_for()
    assert len(sent) > count
    until(page, lambda: canvas.screenshot() != faded)


def test_reload_keeps_the_view_the_name_and_the_verdicts(page: Any, address: str, place: Path) -> None:
    journal = Journal(open_run(place / "runs" / "demo").reviews_url)
    name = sorted(open_run(place / "runs" / "demo").audited())[11]
    page.goto(f"{address}/Heatmaps?run=demo&image={name}&attention=0.5&scale=whole+run")
    settled(page)
    sign_in(page, "Ben")
    page.get_by_role("button", name="Keep").click()
    until(page, lambda: name in set(journal.latest()["image"]))
    page.reload()
    settled(page)
    until(page, lambda: page.get_by_role("textbox", name="Reviewer").input_value() == "Ben")
    expect(page.get_by_role("textbox", name="File name")).to_have_value(name)
    assert "Ben" not in page.url and "attention=0.5" in page.url
    page.get_by_text("Reviews of this image").wait_for()


@pytest.mark.parametrize("slower", [1, 4])
def test_the_name_survives_a_reload_of_a_slow_browser(page: Any, address: str, slower: int) -> None:
    page.goto(f"{address}/Dataset?run=demo&dataset_tab=Findings")
    sign_in(page, "Ana")
    page.wait_for_function("localStorage.getItem('whalecam.reviewer') === 'Ana'")
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
    page.reload()
    field = settled(page).get_by_role("textbox", name="Reviewer")
    expect(field).to_have_value("Ana")
    assert page.evaluate("localStorage.getItem('whalecam.reviewer')") == "Ana"


def test_keys_move_on_and_judge(page: Any, address: str, place: Path) -> None:
    journal = Journal(open_run(place / "runs" / "demo").reviews_url)
    page.goto(f"{address}/Heatmaps?run=demo")
    settled(page)
    sign_in(page, "Cleo")
    first = page.get_by_role("textbox", name="File name").input_value()
    page.locator("canvas.heat").first.wait_for()
    page.locator("h1").click()
    page.keyboard.press("n")
    until(page, lambda: page.get_by_role("textbox", name="File name").input_value() != first)
    settled(page)
    second = page.get_by_role("textbox", name="File name").input_value()
    page.locator("h1").click()
    page.keyboard.press("u")
    until(page, lambda: "unsure" in journal.history(second)["verdict"].tolist())
    assert second != first and journal.history(second)["reviewer"].tolist()[-1] == "Cleo"


def test_errors_are_words(page: Any, address: str, place: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("picture,label\na.jpg,orca\n")
    page.goto(f"{address}/Dataset?run=demo")
    settled(page)
    page.get_by_text("Open your own data").click()
    page.get_by_role("textbox", name="Table, or folder of class folders").fill(str(tmp_path / "bad.csv"))
    page.get_by_role("textbox", name="Name of the run").fill("bad")
    page.get_by_text("has no column 'image'").wait_for()
    settled(page).locator(".st-key-own_open button").click()
    page.get_by_text("Not opened.").wait_for()
    (place / "runs" / "broken").mkdir()
    (place / "runs" / "broken" / "run.json").write_text("{ half")
    page.goto(f"{address}/?run=broken")
    page.get_by_text("cannot be read").first.wait_for()
    shutil.rmtree(place / "runs" / "broken")
    assert faults_of(place / "log.txt") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(browser: Any, address: str, scheme: str) -> None:
    context = profile(browser, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    for name in ("", "Dataset", "Model", "Top_losses", "Heatmaps", "Leaks", "Export"):
        page.goto(f"{address}/{name}?run=demo")
        settled(page)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 391, name
        expect(page.get_by_text("encountered an error")).to_have_count(0)
    context.close()
