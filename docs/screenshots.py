"""Take the images of README: every page at a desk's and a phone's width, from a running dashboard.

usage: python docs/screenshots.py [http://localhost:8501] [--out docs/img] [--run demo] [--against demo-shuffle]

The Compare page holds `--against` against `--run`: what `retrain RUN --remedy shuffle` made of it.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

PAGES = ("", "Dataset", "Model", "Top_losses", "Heatmaps", "Leaks", "Export", "Compare", "Patterns")
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def view(name: str, run: str, against: str) -> str:
    """A page's address below the dashboard's."""
    parameters = [("run", run), *([("compared", run), ("compared", against)] if name == "Compare" else [])]
    return f"{name}?{urlencode(parameters)}"


def take(browser: Any, name: str, size: str, given: argparse.Namespace) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=given.scheme)
    page = context.new_page()
    page.goto(f"{given.address}/{view(name, given.run, given.against)}")
    page.locator("h1").first.wait_for(timeout=60_000)
    page.wait_for_function("() => !document.querySelector('[data-test-script-state=\"running\"]')", timeout=60_000)
    page.wait_for_timeout(2500)  # charts and canvases paint after the run has ended
    dark = "-dark" if given.scheme == "dark" else ""
    page.screenshot(path=given.out / f"{name.lower() or 'overview'}-{size}{dark}.png")
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", nargs="?", default="http://localhost:8501")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "img")
    parser.add_argument("--run", default="demo")
    parser.add_argument("--against", default="demo-shuffle")
    parser.add_argument("--scheme", default="light", choices=("light", "dark"))
    parser.add_argument("--page", action="append", choices=PAGES)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name in given.page or PAGES:
            for size in SIZES:
                take(browser, name, size, given)
        browser.close()


if __name__ == "__main__":
    main()
