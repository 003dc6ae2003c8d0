"""Correcting a mask in a real browser on a real server: by mouse with GrabCut and undo, and by keys alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.journeys.conftest import LONG, Dashboard, expect, settled, sign_in
from tests.journeys.test_queue import run  # noqa: F401
from whalecam.config import Thresholds
from whalecam.store.corrected import corrected_path
from whalecam.store.reviews import Corrections
from whalecam.store.run import Run
from whalecam.store.table import NO_REVIEWS, Table

pytestmark = pytest.mark.journey
# ruff: noqa: F811
Point = tuple[float, float]


def image_of(run: Run) -> str:
    """An image that was tested on other backgrounds under its given mask."""
    rows = Table(run.parts(), Thresholds(), NO_REVIEWS).all_rows()
    return str(rows.loc[rows["reliance_swap"].notna() & (rows["mask_source"] == "given"), "image"].iloc[4])


def opened(page: Any, dashboard: Dashboard, run: Run, image: str, name: str) -> Callable[[Point], Point]:
    """The page of an image, signed in, with its editor; gives where a relative place of the image is on the screen."""
    page.goto(f"{dashboard.address}/Heatmaps?run={run.name}&image={image}")
    sign_in(settled(page), name)
    page.locator("canvas.heat").first.wait_for()
    page.locator("h1").click()
    page.keyboard.press("m")
    page.get_by_role("button", name="Save mask").wait_for()
    box = page.locator(".stage").bounding_box()
    return lambda at: (box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])


def drawn(run: Run, image: str) -> Any:
    with Image.open(corrected_path(run, image)) as file:
        return np.asarray(file)


def test_a_mask_is_corrected_by_mouse_and_taken_back(dashboard: Dashboard, visitor: Any, run: Run) -> None:
    image, page = image_of(run), visitor()
    before = run.row_of(image)
    place = opened(page, dashboard, run, image, "Ana")
    page.get_by_role("button", name="Cut out").click()
    for corner in ((0.05, 0.1), (0.95, 0.9)):
        page.mouse.click(*place(corner))
    expect(page.locator(".editing")).to_contain_text("The mask covers")
    page.get_by_role("button", name="Erase").click()
    page.mouse.move(*place((0.0, 0.05)))
    page.mouse.down()
    page.mouse.move(*place((1.0, 0.05)), steps=6)
    page.mouse.up()
    page.get_by_role("button", name="Box").click()
    page.mouse.click(*place((0.3, 0.4)))
    page.mouse.click(*place((0.6, 0.6)))
    page.get_by_role("button", name="Save mask").click()
    page.get_by_text("mask corrected by Ana").wait_for(timeout=LONG)
    settled(page)
    mask, row = drawn(run, image), run.row_of(image).to_pylist()[0]
    height, width = mask.shape
    assert (width, height) == (row["width"], row["height"])
    assert mask[int(0.45 * height) : int(0.55 * height), int(0.35 * width) : int(0.55 * width)].all()
    assert not mask[: int(0.05 * height)].any(), "what was erased"
    assert row["mask_source"] == "given" and row["mask_area"] == pytest.approx(mask.mean(), abs=0.02)
    assert row["reliance_swap"] is not None and not run.row_of(image).equals(before)
    page.reload()
    settled(page).get_by_text("mask corrected by Ana").wait_for()
    page.get_by_role("button", name="Undo the mask").click()
    page.get_by_text("correction undone by Ana").wait_for()
    assert run.row_of(image).equals(before)
    settled(page).get_by_role("button", name="Redo the mask").click()
    page.get_by_text("correction redone by Ana").wait_for()
    assert run.row_of(image).to_pylist()[0] == row


def test_a_mask_is_corrected_by_keys_alone(dashboard: Dashboard, visitor: Any, run: Run) -> None:
    image, page = image_of(run), visitor()
    before = run.row_of(image)
    opened(page, dashboard, run, image, "Ben")
    for key in ("f", "k", "n"):
        page.keyboard.press(key)
    # Keys of verdicts wait while a mask is drawn.
    expect(page.get_by_role("button", name="Save mask")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Correct the mask").wait_for()
    page.keyboard.press("m")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("e")
    page.keyboard.press("Space")
    page.keyboard.press("z")
    page.keyboard.press("s")
    page.get_by_text("mask corrected by Ben").wait_for(timeout=LONG)
    mask = drawn(run, image)
    height, width = mask.shape
    step = 3 * 5 * max(1, round(max(2, round(max(height, width) / 40)) / 2))
    assert mask[height // 2 + 1 : height // 2 + step - 1, width // 2 + 1 : width // 2 + step - 1].all()
    assert Corrections.of(run).history(image)["reviewer"].tolist() == ["Ben"]
    assert not run.row_of(image).equals(before)
