"""A real Chromium and a real server, shared by the journeys."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
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


@contextmanager
def serving(app: Path, log: Path | None = None, **environment: str) -> Iterator[str]:
    """Serve a Streamlit script on a free port of this machine; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port), *OPTIONS]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (log or Path(os.devnull)).open("wb") as out:
        server = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": path} | environment, cwd=ROOT, stdout=out, stderr=out
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


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
