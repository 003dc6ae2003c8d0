"""A real Chromium and a real server, shared by the journeys."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.copies import copied

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LONG = 240_000
STILL = """() => {
  const app = document.querySelector('[data-testid="stApp"]')
  const rests = app && app.dataset.testConnectionState === "CONNECTED" && app.dataset.testScriptState === "notRunning"
  const moves = document.getAnimations().some(animation => animation.playState === "running")
  const still = rests && !moves && !document.querySelector(".st-key-opening")
  if (!still) window.stillSince = undefined
  else window.stillSince ??= performance.now()
  return still && performance.now() - window.stillSince > 300
}"""
"""Whether the page is connected and whole, and for 0.3 seconds nothing moved and no run of its script began.

No click is lost then, and no list is closed by a panel above it that is still unfolding.
"""
STATES = """() => {
  const app = document.querySelector('[data-testid="stApp"]')
  return [document.visibilityState, app?.dataset.testConnectionState, app?.dataset.testScriptState].join(" ")
}"""
CALM = """addEventListener('DOMContentLoaded', () => {
  const calm = document.createElement('style')
  calm.textContent = '*, *::before, *::after { animation: none !important; transition: none !important }'
  document.head.append(calm)
})"""
"""Without a graphics card, half of what a browser computes here would be the frames of spinners and fading elements."""
ENDED = pytest.StashKey[pytest.TestReport]()
OPTIONS = ["--server.headless=true", "--server.fileWatcherType=none", "--browser.gatherUsageStats=false"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium on this machine, and CI must run the journeys")
        pytest.skip("no chromium on this machine; `make browser` installs it")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


def profile(browser: Any, **options: Any) -> Any:
    """A browser profile of its own, of a person who wants nothing to move; `options` are those of Playwright."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **options})
    context.set_default_timeout(120_000)
    context.add_init_script(CALM)
    return context


def settled(page: Any) -> Any:
    """The page, once it is connected, drawn and at rest."""
    from playwright.sync_api import Error

    while True:
        page.locator("h1").first.wait_for(timeout=LONG)
        try:
            page.evaluate("() => { window.stillSince = undefined }")
            page.wait_for_function(STILL, polling=100, timeout=LONG)
        except Error as error:
            if "Execution context was destroyed" in str(error):  # the page led on to another one meanwhile
                continue
            raise
        return page


def sign_in(page: Any, name: str) -> None:
    field = settled(page).get_by_role("textbox", name="Reviewer")
    field.fill(name)
    field.press("Enter")
    settled(page)


def box_select(page: Any, plot: Any) -> Any:
    """Choose a chart's tool for boxes, as soon as the chart has taken it; gives the place of the plot."""
    plot.hover()
    page.locator('.modebar-btn[data-title="Box Select"]').last.click()
    page.locator('.modebar-btn.active[data-title="Box Select"]').last.wait_for()
    settled(page)
    return plot.bounding_box()


def expect(what: Any) -> Any:
    """Playwright's assertion on what a page shows, which looks again until it holds, for two minutes."""
    from playwright.sync_api import expect as eventually

    eventually.set_options(timeout=120_000)
    return eventually(what)


def until(page: Any, is_true: Callable[[], Any], patience: float = 120) -> bool:
    """Wait for a condition that the page itself does not show: True, or a failure after `patience` seconds."""
    for _ in range(int(patience * 20)):
        if is_true():
            return True
        page.wait_for_timeout(50)
    raise AssertionError("it did not come true in time")


def faults_of(log: Path) -> list[str]:
    """The lines of a server's tracebacks that lie in our code; a browser that leaves early is no fault of ours."""
    ours = [f'File "{ROOT / name}' for name in ("whalecam", "pages", "dashboard.py")]
    found, is_traceback = [], False
    for line in log.read_text(errors="replace").splitlines():
        is_traceback = line.endswith("Traceback (most recent call last):") or (is_traceback and line.startswith(" "))
        if is_traceback and any(place in line for place in ours):
            found.append(line.strip())
    return found


@dataclass(frozen=True)
class Dashboard:
    """A running server: its address, its folder of runs, and the file it logs to."""

    address: str
    runs: Path
    log: Path

    def copy(self, run: Path) -> Path:
        """A copy of a run, of a name that no other test has."""
        return copied(run, self.runs / f"{run.name}-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One server for all journeys that need no other settings; each copies runs of its own into it."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "runs").mkdir()
    with serving(ROOT / "dashboard.py", folder / "log.txt", WHALECAM_RUNS=str(folder / "runs")) as url:
        yield Dashboard(url, folder / "runs", folder / "log.txt")
    assert faults_of(folder / "log.txt") == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep how a test ended where its fixtures find it."""
    report = yield
    if report.when == "call":
        item.stash[ENDED] = report
    return report


def shown_by(page: Any) -> str:
    """What a page shows, in words, for whoever reads of a failure that they cannot see again."""
    with suppress(Exception):  # A page that is closed or stuck shows nothing, and must not hide the failure.
        page.set_default_timeout(5_000)
        states = page.evaluate(STATES)
        return f"{page.url} {states}\n{page.locator('body').inner_text()[:3000]}"
    return f"{page.url} shows nothing"


@pytest.fixture
def visitor(browser: Any, request: pytest.FixtureRequest) -> Iterator[Callable[[], Any]]:
    """A further person, with a browser profile of their own. What it showed at a failure is printed."""
    contexts = []

    def come() -> Any:
        contexts.append(profile(browser, accept_downloads=True))
        return contexts[-1].new_page()

    yield come
    report = request.node.stash.get(ENDED, None)
    for context in contexts:
        if report is not None and report.failed:
            print(*(shown_by(page) for page in context.pages), sep="\n---\n")
        context.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(
    app: Path,
    log: Path | None = None,
    options: Sequence[str] = (),
    port: int | None = None,
    base: str = "",
    **environment: str,
) -> Iterator[str]:
    """Serve a Streamlit script on a free port of this machine, under the path `base`; gives its address."""
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port), *OPTIONS, *options]
    command += [f"--server.baseUrlPath={base}"] if base else []
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    address = f"http://127.0.0.1:{port}" + (f"/{base}" if base else "")
    with (log or Path(os.devnull)).open("wb") as out:
        server = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": path} | environment, cwd=ROOT, stdout=out, stderr=out
        )
        try:
            _wait_for(f"{address}/_stcore/health", server)
            yield address
        finally:
            server.terminate()
            server.wait(20)


@contextmanager
def relay(port: int) -> Iterator[int]:
    """A proxy in front of `port` that hands on what it is given, Host and path too; gives the public port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pipe(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                front, _ = listener.accept()
                back = socket.create_connection(("127.0.0.1", port))
                for ends in ((front, back), (back, front)):
                    threading.Thread(target=pipe, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.close()


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    import time

    for _ in range(240):
        assert server.poll() is None, "the server did not start"
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  this machine's own address
                return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"no answer from {url}")
