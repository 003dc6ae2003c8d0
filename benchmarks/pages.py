"""How long the server needs for a page, by the number of rows of the run.

usage: python -m benchmarks.pages [--rows 51033 1000000] [--runs 20] [--json FILE]

Each page is opened and then run again RUNS times in one session (AppTest). The class switch takes another class each
time. Compare is opened with two runs of the same images; its first computation is listed apart, and so is `whalecam
compare` of the two. The first paint is that of a real Chromium on a running server whose pages were open before, from
the request to the first charts of the page. Memory is that of this server's process when the pages were open.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("dashboard.py", *sorted(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")))
COMPARE = "pages/7_Compare.py"
FIRST = {
    "dashboard.py": "stMetric",
    "pages/1_Dataset.py": "stMetric",
    "pages/2_Model.py": "stForm",
    "pages/3_Top_losses.py": ".gallery",
    "pages/4_Heatmaps.py": "stMetric",
    "pages/5_Leaks.py": "stMetric",
    "pages/6_Export.py": "stMetric",
    "pages/8_Patterns.py": "stMetric",
    COMPARE: "stMetric",
}
"""What a page is opened for, and draws first; Compare last, as it alone holds a second run."""
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
Figures = dict[str, list[float]]


def server_runs(folder: Path, runs: int) -> Figures:
    """Milliseconds of each run of each page, and of the class switch on Heatmaps; made in a process of its own."""
    code = f"from benchmarks.pages import timed; timed({runs})"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "WHALECAM_RUNS": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    found: Figures = json.loads(told.stdout.splitlines()[-1])
    return found


def timed(runs: int) -> None:
    """Prints what `server_runs` returns, as JSON."""
    from streamlit.testing.v1 import AppTest

    found: Figures = {}
    for page in PAGES:
        app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=300)
        app.session_state["reviewer"] = "Benchmark"
        app.run()
        if page != PAGES[0]:
            opening = _milliseconds(app.switch_page(page).run)
            found |= {"Compare, first computation": [opening]} if page == COMPARE else {}
        if app.exception or app.error:
            raise SystemExit(f"{page}: {[item.value for item in (*app.exception, *app.error)]}")
        found[page] = [_milliseconds(app.run) for _ in range(runs)]
        if "Heatmaps" in page:
            found["class switch"] = [_milliseconds(_switch(app, turn)) for turn in range(runs)]
    print(json.dumps(found))


def _switch(app: Any, turn: int) -> Callable[[], Any]:
    if app.selectbox(key="show").value != "one class":
        app.selectbox(key="show").select("one class").run()
    choice = app.selectbox(key="class_a")
    return choice.select(choice.options[turn % len(choice.options)]).run  # type: ignore[no-any-return]


def _milliseconds(task: Callable[[], Any]) -> float:
    start = time.perf_counter()
    task()
    return (time.perf_counter() - start) * 1000


class Server:
    """A real server over a folder of runs."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        options = [f"--server.port={port}", "--server.headless=true", "--browser.gatherUsageStats=false"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "dashboard.py", *options],
            cwd=ROOT,
            env={**os.environ, "WHALECAM_RUNS": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1)  # noqa: S310  our own server
                return
            except OSError:
                time.sleep(0.2)
        raise SystemExit("the server did not start")

    def megabytes(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def paints(folder: Path, times: int) -> tuple[Figures, list[float]]:
    """Milliseconds to each page's first figures in Chromium, and the server's memory in MB before Compare and after.

    Every page was opened before in another browser, so that the server is warm and the browser is not.
    """
    from playwright.sync_api import sync_playwright

    server, found, held = Server(folder), dict[str, list[float]](), list[float]()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
            for page in FIRST:
                held += [server.megabytes()] if page == COMPARE else []
                _paint(browser, server.url, page, stay=3000)
            for page in FIRST:
                found[page] = [_paint(browser, server.url, page) for _ in range(times)]
            browser.close()
        return found, [*held, server.megabytes()]
    finally:
        server.process.kill()


def _paint(browser: Any, url: str, page: str, stay: float = 0) -> float:
    tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    name = "" if page == PAGES[0] else Path(page).stem.partition("_")[2]
    start = time.perf_counter()
    tab.goto(f"{url}/{name}")
    mark = FIRST[page]
    tab.locator(mark if mark.startswith(".") else f'[data-testid="{mark}"]').first.wait_for(timeout=120_000)
    passed = (time.perf_counter() - start) * 1000
    tab.wait_for_timeout(stay)
    tab.context.close()
    return passed


def exported(run: Path, times: int) -> list[float]:
    """Milliseconds from the table to the CSV's bytes, all rows."""
    from whalecam.config import Thresholds
    from whalecam.output import csv
    from whalecam.store.reviews import Journal
    from whalecam.store.run import open_run
    from whalecam.store.table import Table

    opened = open_run(run)
    reviews = Journal(opened.reviews_url).latest()
    table = Table(opened.parts(), Thresholds(), reviews)
    digest = opened.manifest.model_sha256
    return [
        _milliseconds(
            lambda: csv.write_csv(
                csv.flag_rows(table.all_rows(), reviews, "all", run_name=opened.name, model_sha256=digest)
            )
        )
        for _ in range(times)
    ]


def compared(place: Path) -> dict[str, float]:
    """`whalecam compare` of the two runs: `seconds` in all, `megabytes` at its peak."""
    words = ["whalecam", "compare", str(place / "run"), str(place / "twin")]
    code = f"import sys; from benchmarks.pages import command; sys.argv = {words!r}; command()"
    start = time.perf_counter()
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return {"seconds": time.perf_counter() - start, "megabytes": float(told.stdout.splitlines()[-1])}


def command() -> None:
    """The command line as it is called, and then its peak memory in MB."""
    from benchmarks.memory import peak_mb
    from whalecam.cli import main as whalecam

    try:
        whalecam()
    except SystemExit as ended:
        if ended.code:
            raise
    print(peak_mb())


def measure(rows: list[int], runs: int, folder: Path) -> dict[int, dict[str, Any]]:
    """By number of rows: `runs`, `paints`, `megabytes`, `export`, `compare`."""
    from benchmarks.synthetic import write_both

    found: dict[int, dict[str, Any]] = {}
    for count in rows:
        place = folder / str(count)
        write_both(place, count)
        seen, megabytes = paints(place, 5)
        found[count] = {"runs": server_runs(place, runs), "paints": seen, "megabytes": megabytes}
        found[count]["export"] = exported(place / "run", 5) if count < 200_000 else []
        found[count]["compare"] = compared(place)
    return found


def table(found: dict[int, dict[str, Any]]) -> str:
    """Markdown: one column per number of rows."""
    counts = list(found)
    lines = ["| | " + " | ".join(f"{count:,} rows" for count in counts) + " |", "|---" * (len(counts) + 1) + "|"]
    for name in found[counts[0]]["runs"]:
        cells = [found[count]["runs"][name] for count in counts]
        told = " | ".join(f"{statistics.median(cell):.0f} ({np.quantile(cell, 0.95):.0f}) ms" for cell in cells)
        lines.append(f"| {name}, server run, median (p95) | {told} |")
    for name in found[counts[0]]["paints"]:
        told = " | ".join(f"{statistics.median(found[count]['paints'][name]) / 1000:.2f} s" for count in counts)
        lines.append(f"| {name}, first paint in Chromium, median | {told} |")
    for at, what in enumerate(("all pages of one run open", "Compare with a second run open too")):
        told = " | ".join(f"{found[count]['megabytes'][at]:.0f} MB" for count in counts)
        lines.append(f"| server memory, {what} | {told} |")
    exports = [found[count]["export"] for count in counts]
    told = " | ".join(f"{statistics.median(times) / 1000:.2f} s" if times else "–" for times in exports)
    lines.append(f"| export of all rows, median | {told} |")
    verbs = [found[count]["compare"] for count in counts]
    told = " | ".join(f"{verb['seconds']:.1f} s, {verb['megabytes']:.0f} MB" for verb in verbs)
    return "\n".join([*lines, f"| `whalecam compare`, time and peak memory | {told} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[51_033, 1_000_000])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="Folder for the made runs, used again where they exist.")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.rows, given.runs, given.keep or Path(folder))
    print(table(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
