"""Many people at once on one server: how long a page takes them, and whether the server's memory stays flat.

usage: python -m benchmarks.sessions [--people 50] [--minutes 30] [--rows 51033] [--reading 20]

Each person has a session of their own (a WebSocket, as a browser opens it), asks for one page after another, and looks
at it for READING seconds in the mean before the next: the pages of two runs, images of them by name, lists and their
further pages. After ten pages the tab is closed, and a new session begins. A page took as long as from the request to
the end of its script; the browser's own work is not in it. The first tenth of the time, in which caches fill, is
reported apart.
"""

import argparse
import asyncio
import random
import re
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from benchmarks.pages import Server
from benchmarks.synthetic import write_both
from whalecam.store.run import open_run

SMALL = 4096
"""Bytes; the message that a script has ended is shorter."""
VISIT = 10
"""Pages that a person looks at before the tab is closed."""
LISTS = ("Leaks", "Leaks?leaks_page=2", "Leaks?leaks_order=name", "Top_losses", "Top_losses?losses_page=3")
OTHERS = ("", "Dataset", "Model", "Export", "Patterns", "Compare", "Matches")


@dataclass
class Seen:
    """What was measured: a row for each page that was asked for, and the server's memory over time."""

    visits: list[tuple[float, str, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.visits, columns=["at", "page", "seconds"])


async def person(number: int, ask: "Asking", *, seen: Seen, end: float, reading: float) -> None:
    """One person, until `end`: a page, a look at it, another page; after VISIT pages the tab is closed and opened."""
    rng = random.Random(number)
    await asyncio.sleep(rng.uniform(0, reading))
    while time.monotonic() < end:
        async with ask.session() as socket:
            for _ in range(VISIT):
                page, start = rng.choice(ask.pages), time.monotonic()
                if start >= end:
                    break
                await ask.page(socket, page)
                seen.visits.append((start, page.partition("?")[0] or "Overview", time.monotonic() - start))
                await asyncio.sleep(min(rng.expovariate(1 / reading), max(0.0, end - time.monotonic())))


@dataclass(frozen=True)
class Asking:
    """How a session asks a server at `url` for one of the pages; `token` is the server's, against forged requests."""

    url: str
    token: str
    pages: Sequence[str]

    def session(self) -> connect:
        """A WebSocket as Streamlit's page opens it."""
        return connect(
            self.url.replace("http", "ws") + "/_stcore/stream",
            origin=Origin(self.url),
            additional_headers={"Cookie": f"_streamlit_xsrf={self.token}"},
            subprotocols=[Subprotocol("streamlit"), Subprotocol(self.token)],
            max_size=None,
        )

    async def page(self, socket: ClientConnection, page: str) -> None:
        """Ask for a page, and read what is sent until its script has ended."""
        ask = BackMsg()
        ask.rerun_script.page_name, _, ask.rerun_script.query_string = page.partition("?")
        await socket.send(ask.SerializeToString())
        while True:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            if len(frame) < SMALL and ForwardMsg.FromString(frame).WhichOneof("type") == "script_finished":
                return


async def _memory(server: Server, seen: Seen, end: float) -> None:
    while (now := time.monotonic()) < end:
        seen.memory.append((now, server.megabytes()))
        await asyncio.sleep(5)


async def visited(server: Server, pages: Sequence[str], people: int, *, seconds: float, reading: float) -> Seen:
    """What that many people met, each for so many seconds."""
    with urllib.request.urlopen(f"{server.url}/_stcore/health") as answer:  # noqa: S310  our own server
        token = re.search(r"_streamlit_xsrf=([^;]+)", str(answer.headers))
    seen, end = Seen(), time.monotonic() + seconds
    ask = Asking(server.url, token[1] if token else "", pages)
    sessions = [person(number, ask, seen=seen, end=end, reading=reading) for number in range(people)]
    await asyncio.gather(_memory(server, seen, end), *sessions)
    return seen


def pages_of(folder: Path) -> list[str]:
    """What is asked for: lists, as many images as there are other pages, and those pages, of either run."""
    names = random.Random(0).sample(sorted(open_run(folder / "run").audited()), len(OTHERS))
    images = [f"Heatmaps?image={name}" for name in names]
    pages = [*LISTS, *images, *OTHERS]
    return [page + ("&" if "?" in page else "?") + f"run={run}" for run in ("run", "twin") for page in pages]


def report(seen: Seen, people: int) -> str:
    """Markdown: percentiles of each page's time, and memory after the first tenth and at the end."""
    rows = seen.frame()
    first, last = rows["at"].min(), rows["at"].max()
    warm = rows[rows["at"] > first + (last - first) / 10]
    lines = [f"| {people} people, {len(rows):,} pages | visits | median | p95 | longest |", "|---" * 5 + "|"]
    parts = [("first tenth", rows.drop(warm.index)), ("after it", warm), *warm.groupby("page")]
    for name, part in parts:
        middle, high = np.quantile(part["seconds"], [0.5, 0.95]) if len(part) else (np.nan, np.nan)
        lines.append(f"| {name} | {len(part):,} | {middle:.2f} s | {high:.2f} s | {part['seconds'].max():.2f} s |")
    held = np.array(seen.memory)
    late = held[-max(1, len(held) // 10) :, 1]
    early = held[held[:, 0] > first + (last - first) / 10, 1][: len(late)]
    lines.append(f"\nMemory: {early.mean():.0f} MB after the first tenth, {late.mean():.0f} MB in the last.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rows", type=int, default=51_033)
    parser.add_argument("--reading", type=float, default=20)
    parser.add_argument("--keep", type=Path, help="Folder for the made runs, used again where they exist.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)) / "runs"
        write_both(folder, given.rows)
        server = Server(folder)
        try:
            task = visited(server, pages_of(folder), given.people, seconds=given.minutes * 60, reading=given.reading)
            print(report(asyncio.run(task), given.people))
        finally:
            server.process.kill()


if __name__ == "__main__":
    main()
