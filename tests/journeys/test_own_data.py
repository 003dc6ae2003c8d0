"""Own data in a real browser: a folder and a MegaDetector file dropped, their outlines seen, trained on and audited."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import LONG, Dashboard, expect, settled, until
from whalecam.app.shell import jobs
from whalecam.data import open_dataset
from whalecam.store.run import open_run

pytestmark = pytest.mark.journey
IMAGES = 24


@pytest.fixture
def own(prepared: Path, tmp_path: Path) -> Path:
    """`mine/`: class folders of photographs of the demo; `md.json`: boxes of all but four of them."""
    pictures = prepared / "pictures"
    rows = open_dataset(pictures / "train.csv", pictures / "images").good()
    chosen = rows.groupby("label").head(IMAGES // 3).head(IMAGES)
    detections = []
    for image, label, path in zip(chosen["image"], chosen["label"], chosen["path"], strict=True):
        target = tmp_path / "mine" / label / image
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())
        box = {"category": "1", "conf": 0.9, "bbox": [0.25, 0.3, 0.5, 0.4]}
        detections.append({"file": f"{label}/{image}", "detections": [box]})
    content = {"images": detections[4:], "detection_categories": {"1": "animal"}, "info": {"format_version": "1.4"}}
    (tmp_path / "md.json").write_text(json.dumps(content))
    return tmp_path


def drop(page: Any, uploader: str, path: Path) -> None:
    """Drop a file or a folder of this machine on an uploader, as a person does from their file manager."""
    zone = settled(page).get_by_test_id("stFileUploader").filter(has_text=uploader).locator("section").first
    zone.scroll_into_view_if_needed()
    box = zone.bounding_box()
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    dragged = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    browser = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": kind, **point, "data": dragged})


def test_a_dropped_folder_and_detections_are_seen_trained_on_and_audited(
    visitor: Callable[[], Any], dashboard: Dashboard, prepared: Path, own: Path
) -> None:
    page, run = visitor(), dashboard.copy(prepared / "runs" / "demo")
    page.goto(f"{dashboard.address}/Dataset?run={run.name}")
    settled(page).get_by_text("Open your own data").click()
    drop(page, "Folder of images", own / "mine")
    page.get_by_text("Recognized: class folders").wait_for()
    expect(page.get_by_text(f"{IMAGES} of {IMAGES} rows usable")).to_be_visible()
    drop(page, "Table, box files", own / "md.json")
    expect(page.get_by_text(f"Boxes: matched {IMAGES - 4} of {IMAGES} images")).to_be_visible()
    cards = page.locator(".st-key-own_outlines .card")
    expect(cards).to_have_count(8)
    expect(cards.first).to_contain_text("boxes · 20\u00a0% of the image")
    until(page, lambda: "own_boxes=upload" in page.url and "own_csv=upload" in page.url)
    settled(page).reload()
    expect(settled(page).get_by_text(f"Boxes: matched {IMAGES - 4} of {IMAGES} images")).to_be_visible()
    page.get_by_role("textbox", name="Name of the run").fill("dropped")
    page.locator(".st-key-own_open button").click()
    page.wait_for_url(re.compile("run=dropped"))
    settled(page).get_by_role("button", name="Train a network").click()
    page.wait_for_url(re.compile("/Model"))
    settled(page).get_by_role("combobox", name="Recipe").click()
    page.get_by_role("option", name="Linear probe").click()
    settled(page).get_by_role("button", name="Train and audit").click()
    until(page, lambda: (job := jobs.status(dashboard.runs / "dropped")) and job.state == "done", LONG / 1000)
    assert len(open_run(dashboard.runs / "dropped").audited()) == IMAGES
    assert open_run(dashboard.runs / "dropped").mask_sources()["boxes"] == IMAGES - 4
    settled(page).get_by_role("tab", name="Audit").click()
    expect(page.get_by_role("textbox", name="Box files")).to_have_value(re.compile(r"uploads/[0-9a-f]{16}/md\.json$"))


def test_columns_are_chosen_in_the_page_and_a_link_keeps_them(
    visitor: Callable[[], Any], dashboard: Dashboard, prepared: Path, own: Path
) -> None:
    run = dashboard.copy(prepared / "runs" / "demo")
    names = sorted(path.relative_to(own / "mine").as_posix() for path in (own / "mine").rglob("*.jpg"))
    rows = [f"{name},{name.split('/')[0]}" for name in names]
    (own / "odd.csv").write_text("\n".join(["photo,kind", *rows]) + "\n")
    page = visitor()
    page.goto(f"{dashboard.address}/Dataset?run={run.name}&own_csv={own / 'odd.csv'}&own_images={own / 'mine'}")
    expect(settled(page).get_by_text("odd.csv has no column 'image'")).to_be_visible()
    for label, column in (("Image column", "photo"), ("Label column", "kind")):
        settled(page).get_by_role("combobox", name=label).click()
        page.get_by_role("option", name=column, exact=True).click()
    expect(page.get_by_text(f"{IMAGES} of {IMAGES} rows usable")).to_be_visible()
    assert until(page, lambda: "own_image=photo" in page.url and "own_label=kind" in page.url)
    other = visitor()
    other.goto(page.url)
    expect(settled(other).get_by_text(f"{IMAGES} of {IMAGES} rows usable")).to_be_visible()
