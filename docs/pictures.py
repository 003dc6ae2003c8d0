"""Take the pictures of README: every page at a desk's and a phone's width, from a running dashboard.

usage: python docs/pictures.py [http://localhost:8501] [--out docs/img] [--run demo]
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

PAGES = ("", "Dataset", "Model", "Top_losses", "Heatmaps", "Leaks", "Export", "Compare", "Patterns")
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def take(browser: Any, address: str, name: str, size: str, out: Path, run: str, scheme: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/{name}?run={run}")
    page.locator("h1").first.wait_for(timeout=60_000)
    page.wait_for_function("() => !document.querySelector('[data-test-script-state=\"running\"]')", timeout=60_000)
    page.wait_for_timeout(2500)  # charts and canvases paint after the run has ended
    dark = "-dark" if scheme == "dark" else ""
    page.screenshot(path=out / f"{name.lower() or 'overview'}-{size}{dark}.png")
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", nargs="?", default="http://localhost:8501")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "img")
    parser.add_argument("--run", default="demo")
    parser.add_argument("--scheme", default="light", choices=("light", "dark"))
    parser.add_argument("--page", action="append", choices=PAGES)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name in given.page or PAGES:
            for size in SIZES:
                take(browser, given.address, name, size, given.out, given.run, given.scheme)
        browser.close()


if __name__ == "__main__":
    main()
