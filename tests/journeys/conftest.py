"""A real Chromium and a real server, shared by the journeys."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
