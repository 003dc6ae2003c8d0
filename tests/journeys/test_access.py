"""Signing in: what a visitor can have without it, from every address of a real server, and what signing in gives."""

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow.parquet as pq
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.conftest import ROOT
from tests.copies import copied
from tests.journeys.conftest import expect, free_port, relay, serving, settled, until
from tests.journeys.openid import Provider
from whalecam.store.reviews import Journal
from whalecam.store.run import Run, open_run

pytestmark = pytest.mark.journey
PAGES = ("", *(path.stem.split("_", 1)[1] for path in sorted((ROOT / "pages").glob("*.py"))))
COOKIE = "_streamlit_user"
OWN = (
    "_stcore/health",
    "_stcore/script-health-check",
    "_stcore/metrics",
    "_stcore/host-config",
    "_stcore/stream",
    "_stcore/message?hash=0",
    "_stcore/agent/interact",
    "_stcore/agent/mcp",
    "_stcore/agent/openapi.json",
    "_stcore/upload_file/0/0",
    "_stcore/bidi-components/whalecam_gallery/gallery.js",
    "component/whalecam_gallery/index.html",
    "media/",
    "static/",
    "app/static/",
    "auth/login",
    "auth/logout",
    "oauth2callback?code=0&state=0",
    ".streamlit/secrets.toml",
)
FILES = ("run.json", "metrics.json", "reviews.sqlite", "model/fold-0.safetensors")
PREFIXES = ("", "runs/demo/", "app/static/", "static/", "media/", "static/../runs/demo/", "component/..%2fruns/demo/")


@dataclass(frozen=True)
class Guarded:
    """A running dashboard with sign-in: its public address, its run, and who signs people in."""

    address: str
    run: Run
    provider: Provider


@contextmanager
def guarded(prepared: Path, folder: Path, base: str = "", more: str = "", proxied: bool = False) -> Iterator[Guarded]:
    """A dashboard with sign-in, under a path, behind a proxy and with more secrets where wanted."""
    copied(prepared / "runs", folder / "runs")
    with ExitStack() as running:
        provider = Provider()
        running.callback(provider.remove)
        port = free_port()
        public = running.enter_context(relay(port)) if proxied else port
        address = f"http://127.0.0.1:{public}" + (f"/{base}" if base else "")
        secrets = folder / "secrets.toml"
        secrets.write_text(provider.secrets(address, more))
        options, runs = [f"--secrets.files={secrets}"], str(folder / "runs")
        served = serving(ROOT / "dashboard.py", folder / "log.txt", options, port=port, base=base, WHALECAM_RUNS=runs)
        running.enter_context(served)
        yield Guarded(address, open_run(folder / "runs" / "demo"), provider)


@pytest.fixture(scope="module")
def plain(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(prepared, tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.fixture(scope="module")
def strict(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Behind a proxy, under a path, for the accounts of one domain alone."""
    allowed = '[access]\nallowed = ["@example.org"]\n'
    with guarded(prepared, tmp_path_factory.mktemp("strict"), "whalecam", allowed, proxied=True) as server:
        yield server


def marks_of(run: Run) -> list[bytes]:
    """What gives a run away: names of images, of individuals and species, its fingerprint, any thumbnail."""
    rows = pq.read_table(run.parts()[0], columns=["image", "label", "group"]).to_pydict()
    names = {str(name) for column in rows.values() for name in column if name}
    return [name.encode() for name in (*names, run.manifest.dataset.fingerprint, "data:image/webp")]


def fetched(url: str, cookie: str = "") -> bytes:
    """Headers and body of whatever answers, errors too."""
    request = urllib.request.Request(url, headers={"Cookie": cookie} if cookie else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  this machine's own address
            content: bytes = bytes(answer.headers) + answer.read()
            return content
    except urllib.error.HTTPError as error:
        return bytes(error.headers) + error.read()


def played(address: str, page: str, cookie: str = "") -> bytes:
    """All that the server sends over a WebSocket of its own when asked to run a page."""
    host = urlparse(address).netloc
    xsrf = re.search(rb"_streamlit_xsrf=([^;]+)", fetched(f"{address}/_stcore/health"))
    token = xsrf[1].decode() if xsrf else ""
    headers = {"Cookie": f"_streamlit_xsrf={token}; {cookie}"}
    protocols = [Subprotocol("streamlit"), Subprotocol(token)]
    ask = BackMsg()
    ask.rerun_script.page_name, ask.rerun_script.query_string = page, "run=demo"
    sent = b""
    url = address.replace("http", "ws") + "/_stcore/stream"
    origin = Origin(f"http://{host}")
    with connect(url, origin=origin, additional_headers=headers, subprotocols=protocols, max_size=None) as socket:
        socket.send(ask.SerializeToString())
        for frame in socket:
            assert isinstance(frame, bytes)
            message = ForwardMsg.FromString(frame)
            sent += frame
            if message.WhichOneof("type") == "script_finished":
                break
    return sent


def found(marks: list[bytes], content: bytes) -> list[bytes]:
    return [mark for mark in marks if mark in content]


def sign_in(page: Any) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    settled(page)


def test_without_signing_in_no_address_gives_anything_of_a_run(plain: Guarded, visitor: Callable[[], Any]) -> None:
    address, page, marks = plain.address, visitor(), marks_of(plain.run)
    seen: set[str] = set()
    page.on("response", lambda response: seen.add(response.url))
    for name in PAGES:
        page.goto(f"{address}/{name}?run=demo")
        if not name:
            sign_in(page)
        settled(page)
        page.wait_for_timeout(500)
    page.goto(f"{address}/Export?run=demo")
    settled(page)
    with page.expect_download() as waiting:
        page.get_by_text("all images", exact=True).click()
        settled(page).wait_for_timeout(500)
        page.get_by_role("button", name="Download the CSV").click()
    assert found(marks, Path(waiting.value.path()).read_bytes()), "the file that was signed for is the run's"
    assert waiting.value.url.startswith("blob:")
    seen = {url for url in seen if url.startswith(address)}
    assert len(seen) > 20
    assert not [url for url in seen if urlparse(url).path.startswith("/media/")], "no file of a run has an address"
    made = {f"{address}/{prefix}{name}" for prefix in PREFIXES for name in FILES}
    own = {f"{address}/{name}" for name in (*OWN, *PAGES)} | {f"{address}/{name}?run=demo" for name in PAGES}
    for url in sorted(seen | made | own):
        assert not found(marks, fetched(url)), url


def test_a_websocket_without_a_signed_cookie_is_given_nothing(plain: Guarded, visitor: Callable[[], Any]) -> None:
    address, page, marks = plain.address, visitor(), marks_of(plain.run)
    for name in PAGES:
        for cookie in ("", f"{COOKIE}=forged", f'{COOKIE}="eyJpc19sb2dnZWRfaW4iOnRydWV9.aaaa.bbbb"'):
            sent = played(address, name, cookie)
            assert b"Sign in" in sent and not found(marks, sent), (name, cookie)
    page.goto(f"{address}/")
    sign_in(page)
    signed = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}[COOKIE]
    assert found(marks, played(address, "Leaks", f"{COOKIE}={signed}")), "with the cookie the same question is answered"
    tampered = signed[:20] + ("A" if signed[20] != "A" else "B") + signed[21:]
    assert not found(marks, played(address, "Leaks", f"{COOKIE}={tampered}"))


def test_behind_a_proxy_who_signed_in_signs_and_signing_out_locks_every_tab(
    strict: Guarded, visitor: Callable[[], Any]
) -> None:
    address, page, journal = strict.address, visitor(), Journal(strict.run.reviews_url)
    image = sorted(strict.run.audited())[5]
    page.goto(f"{address}/Heatmaps?run=demo&image={image}")
    sign_in(page)
    page.wait_for_url(re.compile(f"/whalecam/Heatmaps.*image={image}"))
    page.locator("canvas.heat").first.wait_for()
    settled(page)
    expect(page.get_by_role("textbox", name="Reviewer")).to_have_count(0)
    page.locator("h1").click()
    page.keyboard.press("f")
    until(page, lambda: len(journal.latest()))
    said = journal.latest()[["image", "verdict", "reviewer"]].to_numpy().tolist()
    assert said == [[image, "flag", "ana@example.org"]]
    other = page.context.new_page()
    other.goto(f"{address}/Leaks?run=demo")
    settled(other)
    signed = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}[COOKIE]
    assert found(marks_of(strict.run), played(address, "Leaks", f"{COOKIE}={signed}"))
    other.get_by_role("button", name="Sign out").click()
    other.get_by_role("button", name="Sign in").wait_for()
    page.get_by_role("button", name="Keep").click()
    page.wait_for_timeout(3000)
    assert len(journal.history(image)) == 1, "the tab that stayed open signs nothing any more"
    assert not found(marks_of(strict.run), played(address, "Leaks", f"{COOKIE}={signed}")), "a copied cookie is ended"
    page.reload()
    sign_in(page)
    page.get_by_role("heading", name="Heatmaps").wait_for()


def test_an_account_that_is_not_allowed_sees_nothing(
    strict: Guarded, visitor: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, provider, marks = strict.address, strict.provider, marks_of(strict.run)
    unverified = {"email": "eve@example.org", "email_verified": False}
    for person in ({"email": "eve@elsewhere.org"}, unverified, {"email": ""}):
        monkeypatch.setattr(provider, "person", {"sub": "2", "name": "Eve", "email_verified": True} | person)
        page = visitor()
        page.goto(f"{address}/")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Your account may not see this server").wait_for()
        assert not found(marks, settled(page).content().encode())
    monkeypatch.setitem(provider.person, "email", "Bea@Example.org")
    page = visitor()
    page.goto(f"{address}/")
    sign_in(page)
    page.get_by_role("heading", name="Overview").wait_for()
