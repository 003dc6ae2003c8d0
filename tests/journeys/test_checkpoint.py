"""A network from elsewhere in a real browser: its checkpoint loaded on the page, audited, and a map opened."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from tests.journeys.conftest import LONG, Dashboard, expect, settled, until
from whalecam.data import open_dataset
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import create_run, open_run

pytestmark = pytest.mark.journey
SIDE = 64


def test_a_checkpoint_of_torchvision_is_loaded_audited_and_its_map_opened(
    visitor: Callable[[], Any], dashboard: Dashboard, prepared: Path, tmp_path: Path
) -> None:
    pictures = prepared / "pictures"
    data = open_dataset(pictures / "train.csv", pictures / "images")
    run = create_run(dashboard.runs / "loaded", DatasetRecord.of(data))
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=len(data.classes()))
    torch.save(
        {"state_dict": {f"model.{name}": value for name, value in theirs.state_dict().items()}}, tmp_path / "w.pth"
    )
    page = visitor()
    page.goto(f"{dashboard.address}/Model?run=loaded")
    settled(page).get_by_role("tab", name="Load a checkpoint").click()
    page.get_by_role("textbox", name="Checkpoint file").fill(str(tmp_path / "w.pth"))
    page.get_by_role("textbox", name="Architecture").fill("resnet18")
    page.get_by_role("spinbutton", name="Input side, px").fill(str(SIDE))
    page.get_by_role("button", name="Look at it").click()
    page.get_by_text("Recognized: w.pth").wait_for(timeout=LONG)
    expect(page.get_by_text("Architecture: resnet18.")).to_be_visible()
    expect(page.get_by_text("maps of 2 × 2 positions")).to_be_visible()
    assert not open_run(run.path).trained
    settled(page).get_by_role("button", name="Load", exact=True).click()
    until(page, lambda: open_run(run.path).trained, LONG / 1000)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=LONG)
    assert open_run(run.path).manifest.network["size"] == SIDE
    settled(page).get_by_role("tab", name="Audit").click()
    page.get_by_role("textbox", name="Mask folder").fill(str(pictures / "masks"))
    page.get_by_role("spinbutton", name="First rows only").fill("100")
    page.get_by_role("button", name="Audit", exact=True).click()
    page.get_by_role("button", name="Cancel").wait_for(timeout=LONG)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=LONG)
    assert len(open_run(run.path).audited()) == 100
    page.goto(f"{dashboard.address}/Top_losses?run=loaded")
    page.locator(".card").first.wait_for()
    settled(page).locator(".card").nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/Heatmaps"))
    page.locator("canvas.heat").first.wait_for()
    expect(page.get_by_text("Map: exact,")).to_be_visible()
